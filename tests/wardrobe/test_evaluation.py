from dataclasses import replace

import pytest
from PIL import Image

from wardrobe.evaluation import HeldOut, contact_sheet, evaluate, heldout_captions, score
from wardrobe.judge import Judge, Reading, reading_of
from wardrobe.world.attributes import Colour, TopKind
from wardrobe.world.parsing import parse_caption
from wardrobe.world.render import render

ITEMS = heldout_captions()


def readings() -> list[Reading]:
    return [reading_of(item.scene) for item in ITEMS]


def test_the_list_is_fixed_and_held_out() -> None:
    assert len({item.caption for item in ITEMS}) == 200
    assert all(item.scene.is_held_out for item in ITEMS)
    said = [parse_caption(item.caption) for item in ITEMS]
    assert [(s.top, s.bottoms) for s in said] == [(item.scene.top, item.scene.bottoms) for item in ITEMS]
    assert all(s.background and s.pose and s.skin and s.hair_colour and s.hair_style for s in said)


def test_perfect_readings_score_one() -> None:
    scores = score(readings(), readings())
    assert (scores.colour, scores.kind, scores.pattern, scores.background, scores.everything) == (1, 1, 1, 1, 1)
    assert scores.meets_the_bar


def test_one_wrong_colour_counts_once_per_garment() -> None:
    wanted = readings()
    garments = sum(1 + (reading.bottoms_kind is not None) for reading in wanted)
    other = Colour.RED if wanted[0].top_colour is not Colour.RED else Colour.BLUE
    scores = score([replace(wanted[0], top_colour=other), *wanted[1:]], wanted)
    assert scores.colour == pytest.approx(1 - 1 / garments)
    assert scores.kind == scores.pattern == 1
    assert scores.everything == pytest.approx(1 - 1 / 200)


def test_bottoms_under_a_dress_are_a_wrong_kind() -> None:
    wanted = next(reading for reading in readings() if reading.top_kind is TopKind.DRESS)
    donor = next(reading for reading in readings() if reading.bottoms_kind is not None)
    assert score([replace(wanted, bottoms_kind=donor.bottoms_kind)], [wanted]).kind == 0


def test_any_callable_can_be_measured() -> None:
    truth = {item.caption: item for item in ITEMS}

    def draw(caption: str, seed: int) -> Image.Image:
        return Image.fromarray(render(truth[caption].scene).image)

    items: list[HeldOut] = list(ITEMS[:12])
    scores, pictures = evaluate(draw, items, Judge.load())
    assert len(pictures) == scores.pictures == 12
    assert scores.colour >= 0.9


def test_contact_sheets_grow_with_their_captions() -> None:
    picture = Image.new("RGB", (128, 128), (200, 30, 30))
    short = contact_sheet([picture] * 3, ["one"] * 3, columns=2)
    long = contact_sheet([picture] * 3, ["a caption of many words " * 6] * 3, columns=2)
    assert short.width == long.width
    assert long.height > short.height
    with pytest.raises(ValueError, match="captions"):
        contact_sheet([picture], [])
