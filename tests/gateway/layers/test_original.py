"""Layers at the picture's size: what they show together is the picture."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from gateway.domain.layers import Layer, Sheet
from gateway.pipelines.frame import Box
from gateway.pipelines.layers.bounds import bounds_of
from gateway.pipelines.layers.compose import composite_of
from gateway.pipelines.layers.opacity import settled
from gateway.pipelines.layers.original import at_original_size
from gateway.pipelines.layers.psnr import recomposition_psnr
from gateway.pipelines.layers.reprojection import reprojected


def together(layers: Sheet) -> Sheet:
    return composite_of([Layer(index, "", sheet) for index, sheet in enumerate(layers)])


def picture(rng: np.random.Generator, height: int, width: int, kind: str) -> Sheet:
    made = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    if kind == "opaque":
        made[..., 3] = 255
    elif kind == "cut-out":
        made[..., 3] = rng.choice([0, 255, 130], (height, width))
    return made


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 10),
    kind=st.sampled_from(["opaque", "cut-out", "translucent"]),
    hard=st.booleans(),
    drawn_smaller=st.floats(0.2, 2.5) | st.just(1.0),
)
def test_together_they_are_the_picture(seed: int, count: int, kind: str, hard: bool, drawn_smaller: float) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 40, 2))
    source = picture(rng, height, width, kind)
    height, width = (max(1, round(side / drawn_smaller)) for side in source.shape[:2])
    drawn = np.stack([picture(rng, height, width, "cut-out" if hard else "translucent") for _ in range(count)])
    layers = at_original_size(source, drawn)
    composite = together(layers)
    shown = source[..., 3] > 0
    assert np.abs(composite.astype(int) - source)[shown].max(initial=0) <= 1
    assert (composite[~shown] == 0).all()
    if kind == "opaque":
        assert np.array_equal(composite, source)
        assert recomposition_psnr(source, composite) == math.inf
        assert (layers[0, ..., 3] == 255).all()
    through = np.ones(source.shape[:2], dtype=bool)
    for layer in reversed(layers):
        # Opaque with nothing on it.
        assert np.array_equal(layer[through & (layer[..., 3] == 255)], source[through & (layer[..., 3] == 255)])
        through &= layer[..., 3] == 0


def test_what_is_hidden_stays_as_drawn() -> None:
    source = np.full((4, 4, 4), 255, np.uint8)
    drawn = np.zeros((2, 4, 4, 4), np.uint8)
    drawn[0] = (10, 20, 30, 255)
    drawn[1, :2] = (200, 100, 50, 255)
    layers = at_original_size(source, drawn)
    assert (layers[0, :2] == (10, 20, 30, 255)).all()
    assert (layers[0, 2:] == 255).all() and (layers[1, :2] == 255).all() and (layers[1, 2:] == 0).all()


def test_colours_change_as_little_as_they_can() -> None:
    """Two that are seen as much as each other take the same share."""
    layers = np.array([[[[100, 100, 100, 255]]], [[[100, 100, 100, 128]]]], dtype=np.uint8)
    source = np.array([[[130, 130, 130, 255]]], dtype=np.uint8)
    moved = reprojected(source, layers)[:, 0, 0, 0].astype(int) - 100
    assert np.abs(moved - 30).max() <= 1
    # Where one is at its end the other one takes over.
    layers[1, ..., :3] = 250
    source[..., :3] = 253
    assert reprojected(source, layers)[:, 0, 0, 0].tolist()[1] == 255
    assert np.array_equal(together(reprojected(source, layers)), source)


def test_nothing_of_a_ghost_is_left_below_a_cut_out() -> None:
    """What is missing of opacity goes to the layer that shows, not to an empty one below."""
    alphas = np.array([[[0, 0, 255]], [[240, 0, 255]]], dtype=np.uint8)
    wanted = np.array([[255, 0, 100]], dtype=np.uint8)
    assert settled(alphas, wanted, opaque=False)[:, 0].tolist() == [[0, 0, 0], [255, 0, 100]]
    assert settled(alphas, wanted, opaque=True)[0].tolist() == [[255, 255, 255]]


def scene(side: int) -> tuple[Sheet, npt.NDArray[np.float32]]:
    """A striped disc on a sky, and the disc's true alpha 0 to 1."""
    y, x = np.mgrid[: side * 4, : side * 4] / (side * 4)
    inside = ((x - 0.5) ** 2 + (y - 0.45) ** 2 < 0.09).astype(np.float32)
    alpha = np.asarray(Image.fromarray(inside).resize((side, side), Image.Resampling.BOX))
    y, x = np.mgrid[:side, :side] / side
    sky = np.stack([0.3 + 0.2 * x, 0.5 + 0.1 * y, 0.8 - 0.2 * y], axis=-1)
    disc = np.stack([0.8 - 0.1 * y, 0.3 + 0.1 * np.sign(np.sin(x * 90)), 0.2 + 0.1 * x], axis=-1)
    colours = np.rint(255 * (alpha[..., None] * disc + (1 - alpha[..., None]) * sky))
    return np.concatenate([colours, np.full((side, side, 1), 255)], axis=-1).astype(np.uint8), alpha


@pytest.mark.parametrize("drawn_side", [64, 128, 240])
def test_edges_are_where_the_picture_has_them(drawn_side: int) -> None:
    source, alpha = scene(256)
    small = np.asarray(Image.fromarray(alpha).resize((drawn_side, drawn_side), Image.Resampling.BOX))
    drawn = np.zeros((2, drawn_side, drawn_side, 4), np.uint8)
    drawn[0, ..., 3] = 255
    drawn[1, ..., 3] = np.rint(small * 255)
    blunt = np.asarray(Image.fromarray(small).resize((256, 256), Image.Resampling.BILINEAR))
    sharp = at_original_size(source, drawn)[1, ..., 3] / 255
    assert np.abs(sharp - alpha).mean() < np.abs(blunt - alpha).mean() / 2
    # The stripes of the disc do not show in its alpha.
    near = 2 * (2 * 256 // drawn_side + 1) + 1
    assert (sharp[minimum_filter(alpha, near) == 1] == 1).all() and (sharp[maximum_filter(alpha, near) == 0] == 0).all()


def test_at_equal_size_alpha_is_as_drawn_where_there_is_no_edge() -> None:
    """What shines through is not thought to be a rim, whatever the picture says."""
    rng = np.random.default_rng(3)
    source, drawn = picture(rng, 20, 30, "opaque"), rng.integers(80, 251, (3, 20, 30, 4), dtype=np.uint8)
    assert np.array_equal(at_original_size(source, drawn)[1:, ..., 3], drawn[1:, ..., 3])


@pytest.mark.parametrize("side", [96, 192])
def test_a_rim_that_was_drawn_too_thin_does_not_stay_below(side: int) -> None:
    source, alpha = scene(side)
    drawn = np.zeros((2, 96, 96, 4), np.uint8)
    sky = source.copy()
    sky[alpha > 0] = sky[:1].mean(axis=(0, 1))
    small = Image.fromarray(alpha).resize((96, 96), Image.Resampling.BOX)
    narrow = minimum_filter(np.asarray(small), 3)
    for layer, pixels in enumerate((sky, source)):
        drawn[layer] = np.asarray(Image.fromarray(pixels).resize((96, 96), Image.Resampling.BOX))
    drawn[1, ..., 3] = np.rint(narrow * 255)
    rim = (alpha > 0) & (minimum_filter(alpha, 5) < 1)
    painted = np.abs(at_original_size(source, drawn)[0, ..., :3].astype(int) - sky[..., :3]).max(axis=-1)
    assert (painted[rim] > 40).mean() < 0.05
    if side == 96:
        as_drawn = np.abs(reprojected(source, drawn)[0, ..., :3].astype(int) - sky[..., :3]).max(axis=-1)
        assert (as_drawn[rim] > 40).mean() > 0.3


def test_colours_do_not_bleed_from_where_nothing_is() -> None:
    """The garment's edge stays its colour though what was drawn beside it, transparent, is white."""
    drawn = np.full((2, 8, 8, 4), 255, np.uint8)
    drawn[1, :, 4:, 3] = 0
    drawn[:, :, :4, :3] = (120, 0, 0)
    grey = np.full((32, 32, 4), 255, np.uint8)
    grey[:, :16, :3] = (120, 0, 0)
    layer = at_original_size(grey, drawn)[1]
    seen = layer[..., 3] > 30
    assert seen.any() and np.abs(layer[seen][:, 1:3].astype(int)).max() <= 2


@pytest.mark.parametrize(("low", "value"), [(0, math.inf), (1, 43.03), (255, 0.0)])
def test_psnr(low: int, value: float) -> None:
    white = np.full((3, 5, 4), 255, np.uint8)
    assert recomposition_psnr(white, white - np.uint8(low)) == pytest.approx(value, abs=0.05)


def test_psnr_does_not_see_colours_that_nobody_sees() -> None:
    clear, other = np.zeros((2, 2, 4), np.uint8), np.full((2, 2, 4), 200, np.uint8)
    other[..., 3] = 0
    assert recomposition_psnr(clear, other) == math.inf
    with pytest.raises(ValueError, match="cannot be compared"):
        recomposition_psnr(clear, other[:1])


def test_bounds() -> None:
    sheet = np.zeros((9, 12, 4), np.uint8)
    sheet[..., 3] = 3
    assert bounds_of(sheet) is None
    sheet[2, 4, 3] = sheet[6, 10, 3] = 50
    assert bounds_of(sheet) == Box(4, 2, 11, 7)
