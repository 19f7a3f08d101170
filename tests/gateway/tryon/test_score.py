"""Scores know nothing of the truth and still find it."""

from dataclasses import replace

import numpy as np
import pytest

from families.tryon.agnostic import agnostic_mask
from families.tryon.parts import Category
from gateway.pipelines.tryon.score import WEIGHTS, Drawn, Scene, judge
from tests.gateway.tryon.world import lying, pairs, truth
from wardrobe.world.attributes import BottomsKind, Colour, Pattern, TopKind
from wardrobe.world.pairs import TryOnPair, dress
from wardrobe.world.scene import Bottoms, Top

PAIRS = pairs(6, seed=11)


def scene_of(pair: TryOnPair) -> Scene:
    (person, parse), (flat, cloth) = truth(pair.before), lying(pair.garment)
    if isinstance(pair.garment, Bottoms):
        category = Category.BOTTOMS
    else:
        category = Category.ONE_PIECES if pair.garment.kind == "dress" else Category.TOPS
    return Scene(person, parse, agnostic_mask(parse.labels, category), flat, cloth.labels > 0, category)


def alone(scene: Scene, drawn: Drawn) -> dict[str, float]:
    (scores,) = judge(scene, [drawn])
    return {name: getattr(scores, name) for name in ("total", *WEIGHTS)}


@pytest.mark.parametrize("pair", PAIRS)
def test_the_truth_scores_high(pair: TryOnPair) -> None:
    scores = alone(scene_of(pair), Drawn(*truth(pair.after)))
    assert all(0 <= score <= 1 for score in scores.values())
    assert scores["total"] > 0.75 and min(scores["outside"], scores["identity"], scores["pose"]) > 0.99
    assert scores["total"] == pytest.approx(sum(weight * scores[name] for name, weight in WEIGHTS.items()))


@pytest.mark.parametrize("pair", PAIRS)
def test_another_colour_and_another_pattern_score_less(pair: TryOnPair) -> None:
    scene = scene_of(pair)
    right = alone(scene, Drawn(*truth(pair.after)))
    for colour in set(Colour) - {pair.garment.colour}:
        wrong = alone(scene, Drawn(*truth(dress(pair.before, replace(pair.garment, colour=colour)))))
        assert wrong["colour"] < right["colour"]
    others = [pattern for pattern in Pattern if pattern is not pair.garment.pattern]
    wrong_patterns = [
        alone(scene, Drawn(*truth(dress(pair.before, replace(pair.garment, pattern=pattern)))))["pattern"]
        for pattern in others
    ]
    assert sum(wrong < right["pattern"] for wrong in wrong_patterns) >= 2, (wrong_patterns, right)


def test_the_old_garment_another_face_and_a_changed_place_are_found() -> None:
    wearer = PAIRS[0].before
    if wearer.bottoms is None:
        wearer = dress(wearer, Bottoms(BottomsKind.SHORTS, Colour.BLUE, Pattern.PLAIN))
    gown = Top(TopKind.DRESS, Colour.GREEN, Pattern.PLAIN)
    pair = TryOnPair(wearer, gown, dress(wearer, gown))
    scene, right = scene_of(pair), Drawn(*truth(pair.after))
    good = alone(scene, right)
    assert alone(scene, Drawn(*truth(pair.before)))["parse"] < good["parse"]
    pale = np.where(scene.mask[..., None], right.pixels, np.uint8(230))
    worse = alone(scene, Drawn(pale, right.parse))
    assert worse["outside"] < 0.7 * good["outside"] and worse["identity"] < 0.9 * good["identity"]
    moved = replace(right.parse, keypoints=right.parse.keypoints + np.float32([6, 6, 0]))
    assert alone(scene, Drawn(right.pixels, moved))["pose"] < 0.5 * good["pose"]


def test_an_accident_among_good_drawings_is_the_last() -> None:
    pair = next(pair for pair in PAIRS if pair.garment.colour not in (Colour.PINK, Colour.RED, Colour.ORANGE))
    scene, right = scene_of(pair), Drawn(*truth(pair.after))
    rng = np.random.default_rng(0)
    near = [
        Drawn(np.clip(right.pixels + rng.normal(0, 1, right.pixels.shape), 0, 255).astype(np.uint8), right.parse)
        for _ in range(3)
    ]
    accident = Drawn(*truth(dress(pair.before, replace(pair.garment, colour=Colour.PINK))))
    scores = judge(scene, [near[0], accident, *near[1:]])
    assert min(scores[place].agreement for place in (0, 2, 3)) > scores[1].agreement
    assert min(scores[place].total for place in (0, 2, 3)) > scores[1].total
