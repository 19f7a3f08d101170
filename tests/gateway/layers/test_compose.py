"""Layers put together, against numbers worked out elsewhere and against Pillow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gateway.domain.layers import Sheet
from gateway.domain.pictures import PictureSize
from gateway.pipelines.layers.bands import bands
from gateway.pipelines.layers.blend import BlendMode
from gateway.pipelines.layers.compose import compose
from gateway.pipelines.layers.placed import Placed

ONE = PictureSize(1, 1)


def pixel(*values: int) -> Sheet:
    return np.array([[values]], dtype=np.uint8)


def composed(*layers: Placed, size: PictureSize = ONE) -> list[int]:
    return [int(value) for value in compose(layers, size)[0, 0]]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        # Backdrop 51, 204, 128 (0.2, 0.8, 0.50196); source 204, 102, 64 (0.8, 0.4, 0.25098); by hand from W3C's text.
        (BlendMode.NORMAL, (204, 102, 64)),
        (BlendMode.MULTIPLY, (41, 82, 32)),
        (BlendMode.SCREEN, (214, 224, 160)),
        (BlendMode.OVERLAY, (82, 194, 65)),
        (BlendMode.DARKEN, (51, 102, 64)),
        (BlendMode.LIGHTEN, (204, 204, 128)),
        (BlendMode.COLOR_DODGE, (255, 255, 171)),
        (BlendMode.COLOR_BURN, (0, 128, 0)),
        (BlendMode.HARD_LIGHT, (173, 163, 64)),
        # D(0.2) = ((16*0.2 - 12)*0.2 + 4)*0.2 = 0.448.
        (BlendMode.SOFT_LIGHT, (89, 196, 96)),
        (BlendMode.DIFFERENCE, (153, 102, 64)),
        (BlendMode.EXCLUSION, (173, 143, 128)),
    ],
)
def test_a_mode_is_its_formula(mode: BlendMode, expected: tuple[int, int, int]) -> None:
    backdrop = Placed("below", pixel(51, 204, 128, 255))
    assert composed(backdrop, Placed("above", pixel(204, 102, 64, 255), blend=mode)) == [*expected, 255]
    # Over nothing every mode is normal, and a clear layer changes nothing.
    assert composed(Placed("alone", pixel(204, 102, 64, 255), blend=mode)) == [204, 102, 64, 255]
    assert composed(backdrop, Placed("clear", pixel(204, 102, 64, 0), blend=mode)) == [51, 204, 128, 255]


def test_a_mode_takes_part_as_far_as_both_are_there() -> None:
    # cs = (1 - 0.4) * 0.8 + 0.4 * 0.2 * 0.8 = 0.544; co = 0.6 * 0.544 + 0.4 * 0.4 * 0.2 = 0.3584; ao = 0.76.
    layers = (
        Placed("below", pixel(51, 51, 51, 102)),
        Placed("above", pixel(204, 204, 204, 153), blend=BlendMode.MULTIPLY),
    )
    assert composed(*layers) == [120, 120, 120, 194]


@pytest.mark.parametrize(
    ("mode", "backdrop", "source", "expected"),
    [
        (BlendMode.COLOR_DODGE, 0, 255, 0),
        (BlendMode.COLOR_DODGE, 1, 255, 255),
        (BlendMode.COLOR_BURN, 255, 0, 255),
        (BlendMode.COLOR_BURN, 254, 0, 0),
    ],
)
def test_where_a_formula_would_divide_by_nothing(mode: BlendMode, backdrop: int, source: int, expected: int) -> None:
    grey = Placed("below", pixel(backdrop, backdrop, backdrop, 255))
    assert composed(grey, Placed("above", pixel(source, source, source, 255), blend=mode))[0] == expected
    translucent = Placed("below", pixel(backdrop, backdrop, backdrop, 77))
    white = composed(translucent, Placed("above", pixel(source, source, source, 255), blend=mode))
    assert abs(white[0] - (0.302 * expected + 0.698 * source)) <= 1


def test_offset_opacity_and_visibility() -> None:
    ground = Placed("ground", np.full((4, 4, 4), 255, np.uint8))
    spot = np.zeros((2, 2, 4), np.uint8)
    spot[...] = (0, 0, 0, 255)
    size = PictureSize(4, 4)
    moved = compose([ground, Placed("spot", spot, x=3, y=-1)], size)[..., 0]
    assert moved[0, 3] == 0 and (moved == 0).sum() == 1
    assert (compose([ground, Placed("spot", spot, x=-2, y=4)], size) == 255).all()
    assert (compose([ground, Placed("spot", spot, visible=False)], size) == 255).all()
    half = compose([ground, Placed("spot", spot, opacity=0.4)], size)
    assert half[0, 0].tolist() == [153, 153, 153, 255]
    assert compose([Placed("spot", spot, x=1, y=1, opacity=0.2)], size)[0, 0].tolist() == [0, 0, 0, 0]
    assert compose([Placed("spot", spot, x=1, opacity=0.2)], size, background=(200, 100, 50))[0].tolist() == [
        [200, 100, 50, 255],
        [160, 80, 40, 255],
        [160, 80, 40, 255],
        [200, 100, 50, 255],
    ]


sheets = st.builds(
    lambda seed, hard: _random_sheet(np.random.default_rng(seed), hard), st.integers(0, 2**32), st.booleans()
)


def _random_sheet(rng: np.random.Generator, hard: bool) -> Sheet:
    sheet = rng.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    if hard:
        sheet[..., 3] = rng.choice([0, 255], (5, 7))
    return sheet


@settings(max_examples=60, deadline=None)
@given(st.lists(sheets, min_size=1, max_size=5))
def test_plain_layers_are_what_pillow_makes_of_them(layers: list[Sheet]) -> None:
    """One by one: Pillow rounds after every layer, and we do once."""
    size, ground = PictureSize(7, 5), Image.new("RGBA", (7, 5), (90, 120, 33, 255))
    for each in layers:
        ours = compose([Placed("", np.array(ground)), Placed("", each)], size)
        ground = Image.alpha_composite(ground, Image.fromarray(each))
        assert np.abs(ours.astype(int) - np.asarray(ground)).max() <= 1
    whole = compose([Placed("", each) for each in layers], size, background=(90, 120, 33))
    assert np.abs(whole.astype(int) - np.asarray(ground)).max() <= (len(layers) + 1) // 2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(sheets, st.sampled_from(list(BlendMode))), min_size=1, max_size=4))
def test_every_pixel_is_on_its_own(layers: list[tuple[Sheet, BlendMode]]) -> None:
    """Whatever lies beside it."""
    stack = [Placed("", pixels, blend=mode) for pixels, mode in layers]
    whole = compose(stack, PictureSize(7, 5))
    cut = [Placed("", pixels[2:3, 4:5], blend=mode) for pixels, mode in layers]
    assert np.array_equal(whole[2, 4], compose(cut, ONE)[0, 0])


def test_large_pictures_go_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    below = rng.integers(0, 256, (30, 20, 4), dtype=np.uint8)
    stack = [Placed("", below, y=-1), Placed("", below, x=3, y=1)]
    whole = compose(stack, PictureSize(20, 30))
    monkeypatch.setattr("gateway.pipelines.layers.bands._VALUES", 7 * 20)
    assert [rows.stop for rows in bands(30, 20)] == [7, 14, 21, 28, 30]
    assert np.array_equal(compose(stack, PictureSize(20, 30)), whole)
