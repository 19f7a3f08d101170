from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from wardrobe.world.attributes import Colour, HairColour, HairStyle, Part, Pattern, Skin, TopKind
from wardrobe.world.canvas import compose
from wardrobe.world.captions import Wording, caption, sample_caption
from wardrobe.world.parsing import parse_caption
from wardrobe.world.render import PARTS, flat_lay, render
from wardrobe.world.scene import Bottoms, Scene, Top, scenes

SCENES = list(islice(scenes(3, held_out=False), 24))


def test_the_same_seed_gives_the_same_scenes_and_bytes() -> None:
    again = list(islice(scenes(3, held_out=False), 24))
    assert again == SCENES
    assert np.array_equal(render(again[0]).image, render(SCENES[0]).image)


@pytest.mark.parametrize("scene", SCENES[:10])
def test_layers_recompose_exactly(scene: Scene) -> None:
    picture = render(scene)
    assert picture.image.shape == (128, 128, 3)
    assert picture.image.dtype == np.uint8
    assert np.array_equal(compose([layer.pixels for layer in picture.layers]), picture.image)
    assert (picture.layers[0].pixels[..., 3] == 255).all()


@pytest.mark.parametrize("scene", SCENES[:10])
def test_masks_partition_the_picture(scene: Scene) -> None:
    picture = render(scene)
    total = sum(picture.mask(part).astype(int) for part in PARTS)
    assert np.all(total == 1)
    worn = (Part.DRESS,) if scene.bottoms is None else (Part.TOP, Part.BOTTOMS)
    for part in (Part.BACKGROUND, Part.HAIR, Part.FACE, *worn):
        assert picture.mask(part).sum() > 60, part
    absent = {Part.DRESS, Part.TOP, Part.BOTTOMS} - set(worn)
    assert not any(picture.mask(part).any() for part in absent)


def test_another_garment_changes_only_where_it_can() -> None:
    scene = next(s for s in SCENES if s.top.kind is TopKind.TANK_TOP)
    colour = Colour.GREEN if scene.top.colour is not Colour.GREEN else Colour.RED
    other = replace(scene, top=replace(scene.top, colour=colour))
    before, after = render(scene), render(other)
    changed = (before.image != after.image).any(axis=2)
    sheet = next(layer for layer in before.layers if layer.part is Part.TOP)
    assert changed.any()
    assert not changed[sheet.pixels[..., 3] == 0].any()


@pytest.mark.parametrize("kind", list(TopKind))
def test_flat_lay_shows_the_garment_on_light_ground(kind: TopKind) -> None:
    laid = flat_lay(Top(kind, Colour.RED, Pattern.STRIPED))
    assert laid.shape == (128, 128, 3)
    assert (laid[:3] > 235).all()
    assert (laid[64, 64] < 255).any()
    red = (laid[..., 0] > 160) & (laid[..., 1] < 90)
    assert red.mean() > 0.05


def test_a_dress_goes_without_bottoms() -> None:
    plain = Top(TopKind.DRESS, Colour.RED, Pattern.PLAIN)
    with pytest.raises(ValueError, match="dress"):
        replace(SCENES[0], top=plain, bottoms=next(s.bottoms for s in SCENES if isinstance(s.bottoms, Bottoms)))


def test_full_captions_parse_back_to_their_scene() -> None:
    for scene in SCENES:
        said = parse_caption(caption(scene))
        assert (said.figure, said.hair_colour, said.hair_style) == (
            scene.person.figure, scene.person.hair_colour, scene.person.hair_style,
        )  # fmt: skip
        assert (said.skin, said.pose, said.background) == (scene.person.skin, scene.person.pose, scene.background)
        assert said.top == scene.top
        assert said.bottoms == scene.bottoms


def test_short_captions_never_say_anything_wrong() -> None:
    rng = np.random.default_rng(0)
    for scene in SCENES * 8:
        said = parse_caption(sample_caption(scene, rng))
        assert said.top == scene.top
        assert said.bottoms in (None, scene.bottoms)
        for got, want in (
            (said.figure, scene.person.figure), (said.hair_colour, scene.person.hair_colour),
            (said.hair_style, scene.person.hair_style), (said.skin, scene.person.skin),
            (said.pose, scene.person.pose), (said.background, scene.background),
        ):  # fmt: skip
            assert got in (None, want)


def test_adjectives_stand_before_nouns() -> None:
    scene = replace(SCENES[0], top=Top(TopKind.T_SHIRT, Colour.ORANGE, Pattern.STRIPED))
    if scene.bottoms is None:
        scene = replace(scene, bottoms=next(s.bottoms for s in SCENES if s.bottoms is not None))
    assert "wearing an orange striped t-shirt and " in caption(scene)


def test_the_split_looks_at_attributes_only() -> None:
    held = next(scenes(4, held_out=True))
    assert held.is_held_out
    assert replace(held, staging=replace(held.staging, dx=3.0, mirror=not held.staging.mirror)).is_held_out
    assert not any(scene.is_held_out for scene in SCENES)


@pytest.mark.parametrize(
    ("style", "colour", "words"),
    [
        (True, True, "with grey hair in a bun and"),
        (True, False, "with hair in a bun and"),
        (False, True, "with grey hair and"),
        (False, False, "with tan skin"),
    ],
)
def test_a_bun_is_no_adjective(style: bool, colour: bool, words: str) -> None:
    person = replace(SCENES[0].person, hair_style=HairStyle.BUN, hair_colour=HairColour.GREY, skin=Skin.TAN)
    text = caption(replace(SCENES[0], person=person), Wording(hair_style=style, hair_colour=colour))
    assert f"{words} " in text.replace(",", " ")
    assert parse_caption(text).hair_style == (HairStyle.BUN if style else None)
