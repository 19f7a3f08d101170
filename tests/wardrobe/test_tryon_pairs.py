from itertools import islice

import numpy as np
import pytest

from families.tryon.agnostic import agnostic_mask
from families.tryon.parts import Category
from wardrobe.training.tryon_cache import category_of
from wardrobe.world.attributes import Colour, Pattern, TopKind
from wardrobe.world.pairs import SPARE_BOTTOMS, SPARE_TOP, TryOnPair, dress, reversed_pair, tryon_pairs
from wardrobe.world.render import render
from wardrobe.world.scene import Bottoms, Top

DRESS = Top(TopKind.DRESS, Colour.RED, Pattern.PLAIN)


def some_pairs(count: int) -> list[TryOnPair]:
    return list(islice(tryon_pairs(11, held_out=False), count))


def test_old_and_new_differ_inside_the_mask_only() -> None:
    seen = set()
    for pair in some_pairs(70):
        before, after = render(pair.before), render(pair.after)
        mask = agnostic_mask(before.labels, category_of(pair.garment))
        changed = (before.image != after.image).any(axis=2)
        assert not (changed & ~mask).any(), pair
        assert mask.mean() < 0.5
        seen.add((category_of(pair.garment), pair.before.top.kind is TopKind.DRESS))
    assert seen == {(category, worn) for category in Category for worn in (False, True)}


def test_the_face_is_hardly_masked() -> None:
    for pair in some_pairs(12):
        scene = render(pair.before)
        face = next(layer.pixels[..., 3] for layer in scene.layers if layer.name == "face") > 127
        assert agnostic_mask(scene.labels, category_of(pair.garment))[face].mean() < 0.15


def test_pairs_keep_the_person_and_one_side_of_the_split() -> None:
    for held_out in (False, True):
        for pair in islice(tryon_pairs(3, held_out=held_out), 40):
            assert pair.before.is_held_out is pair.after.is_held_out is held_out
            assert (pair.before.person, pair.before.background) == (pair.after.person, pair.after.background)
            assert pair.garment in (pair.after.top, pair.after.bottoms)
            assert pair.before != pair.after


def test_the_other_garment_stays_and_a_dress_needs_a_spare_one() -> None:
    pair = next(pair for pair in some_pairs(40) if pair.before.bottoms and isinstance(pair.garment, Bottoms))
    assert pair.after.top == pair.before.top
    in_dress = dress(pair.before, DRESS)
    assert in_dress.bottoms is None
    assert dress(in_dress, pair.garment).top == SPARE_TOP
    top = Top(TopKind.SWEATER, Colour.BLUE, Pattern.STRIPED)
    assert dress(in_dress, top).bottoms == SPARE_BOTTOMS


@pytest.mark.parametrize("number", range(20))
def test_a_pair_leads_back_or_has_no_reverse(number: int) -> None:
    pair = some_pairs(20)[number]
    back = reversed_pair(pair)
    if back is None:
        assert (pair.before.bottoms is None) or (pair.after.bottoms is None)
    else:
        assert dress(back.before, back.garment) == back.after == pair.before


def test_the_stream_depends_on_the_seed_alone() -> None:
    assert some_pairs(5) == some_pairs(5)
    assert some_pairs(5) != list(islice(tryon_pairs(12, held_out=False), 5))
    assert np.unique([pair.garment.kind for pair in some_pairs(60)]).size == 7
