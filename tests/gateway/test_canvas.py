"""Frames and masks: what of a picture the model sees, and what of it may change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from families.manifest import SizeRule
from gateway.domain.pictures import PictureSize
from gateway.pipelines.canvas import Composite
from gateway.pipelines.frame import Box, Frame, cover
from gateway.pipelines.masks import Mask
from tests.gateway.pictures import noise_picture

RULE = SizeRule(multiple=8, minimum=60, maximum=130, default_width=128, default_height=128)
CELL = 8

sides = st.integers(1, 300)


def edited(width: int, height: int, box: Box, value: int = 255) -> np.ndarray:
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[box.slices] = value
    return mask


@st.composite
def boxes_in(draw: st.DrawFn, width: int, height: int) -> Box:
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return Box(left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height)))


@settings(max_examples=80, deadline=None)
@given(width=sides, height=sides)
def test_a_frame_is_what_the_model_takes(width: int, height: int) -> None:
    frame = Frame.around(PictureSize(width, height), RULE)
    for side in (frame.padded.width, frame.padded.height):
        assert side % 8 == 0 and 64 <= side <= 128
    pixels = np.asarray(noise_picture(width, height))
    seen = frame.to_model(pixels)
    assert seen.shape == (frame.padded.height, frame.padded.width, 3)
    back = frame.from_model(seen, PictureSize(width, height))
    assert back.shape == pixels.shape
    if min(width, height) >= 60 and max(width, height) <= 128:
        assert np.array_equal(back, pixels)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), width=sides, height=sides)
def test_only_what_is_masked_changes(data: st.DataObject, width: int, height: int) -> None:
    region = data.draw(boxes_in(width, height))
    mask = Mask(edited(width, height, region))
    assert mask.box == region
    frame = Frame.around_region(PictureSize(width, height), region, RULE)
    assert frame.box.left <= region.left and region.right <= frame.box.right
    assert frame.box.top <= region.top and region.bottom <= frame.box.bottom

    pixels = np.asarray(noise_picture(width, height))
    weights = mask.weights(frame.box)
    drawn = 255 - frame.to_model(pixels)
    after = Composite(frame, pixels, weights).finish(drawn)
    kept = mask.edited == 0
    assert np.array_equal(after[kept], pixels[kept])
    # Every masked pixel takes part, and the middle of the mask is all new.
    assert (weights[mask.edited[frame.box.slices] > 0] > 0).all() and weights.max() == 1

    cells = mask.cells(frame, CELL)
    assert cells.shape == (frame.padded.height // CELL, frame.padded.width // CELL)
    if frame.scaled == frame.box.size:
        touched = np.zeros_like(cells)
        for row, column in zip(*np.nonzero(mask.edited[frame.box.slices]), strict=True):
            touched[row // CELL, column // CELL] = 1
        assert np.array_equal(cells, touched)
    else:
        assert cells.any()


def test_one_pixel_of_a_huge_picture_has_its_cell() -> None:
    mask = edited(3000, 2000, Box(0, 0, 3000, 1))
    mask[1999, 1500] = 1
    frame = Frame.around_region(PictureSize(3000, 2000), Mask(mask).box, RULE)
    assert frame.scaled == PictureSize(128, 85)
    cells = Mask(mask).cells(frame, CELL)
    assert cells[0].all() and cells[10, 8] == 1 and not cells[1:10].any()


def test_the_new_fades_in_within_the_mask() -> None:
    weights = Mask(edited(64, 64, Box(16, 16, 48, 48))).weights(Box(0, 0, 64, 64))
    row = weights[32]
    assert row[15] == 0 and row[48] == 0
    assert 0 < row[16] < row[17] < row[18] < 1 and row[20] == row[40] == 1
    at_the_edge = Mask(edited(64, 64, Box(0, 0, 64, 32))).weights(Box(0, 0, 64, 64))
    assert at_the_edge[0, 0] == at_the_edge[0, 63] == 1 and at_the_edge[31, 0] < 1


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_thin_strokes_are_drawn_in_full(width: int) -> None:
    weights = Mask(edited(64, 64, Box(20, 0, 20 + width, 64))).weights(Box(0, 0, 64, 64))
    assert weights[30].max() == 1 and weights[30, 19] == weights[30, 20 + width] == 0


def test_soft_masks_stay_soft() -> None:
    weights = Mask(edited(64, 64, Box(10, 10, 50, 50), value=51)).weights(Box(0, 0, 64, 64))
    assert weights.max() == pytest.approx(0.2)


@settings(max_examples=100, deadline=None)
@given(width=sides, height=sides, to_width=st.integers(1, 40), to_height=st.integers(1, 40))
def test_covering_gives_the_size_and_never_squashes(width: int, height: int, to_width: int, to_height: int) -> None:
    pixels = np.asarray(noise_picture(width, height))
    assert cover(pixels, PictureSize(to_width, to_height)).shape == (to_height, to_width, 3)
    assert np.array_equal(cover(pixels, PictureSize(width, height)), pixels)


def test_covering_cuts_both_sides_alike() -> None:
    pixels = np.zeros((10, 30, 3), dtype=np.uint8)
    pixels[:, 10:20] = 200
    assert (cover(pixels, PictureSize(10, 10)) == 200).all()
