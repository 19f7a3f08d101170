"""The way back from a drawing to the photograph."""

import numpy as np
import pytest
from PIL import Image

from gateway.domain.pictures import PictureSize
from gateway.domain.tryon import MergeStyle
from gateway.pipelines.frame import Box
from gateway.pipelines.tryon.crop import Window, window_around
from gateway.pipelines.tryon.membrane import spread_inwards
from gateway.pipelines.tryon.region import Region
from gateway.pipelines.tryon.restore import fade, restore

DRAWN = PictureSize(64, 64)


def window(side: int) -> Window:
    return window_around(PictureSize(side, side), Box(0, 0, side, side), DRAWN)


def region(mask: np.ndarray) -> Region:
    made = window(mask.shape[0])
    return Region(made, made.mask_to_model(mask), mask)


def disc(side: int, share: float = 0.3) -> np.ndarray:
    y, x = np.ogrid[:side, :side]
    return (x - side / 2) ** 2 + (y - side / 2) ** 2 < (share * side) ** 2


@pytest.mark.parametrize("style", list(MergeStyle))
@pytest.mark.parametrize("side", [64, 50, 333, 1500])
def test_outside_is_untouched_and_the_middle_is_the_drawing(style: MergeStyle, side: int) -> None:
    photograph = np.random.default_rng(2).integers(0, 256, (side, side, 3), dtype=np.uint8)
    drawing = np.full((64, 64, 3), (200, 30, 90), np.uint8)
    mask = disc(side)
    finished = restore(photograph, drawing, region(mask), style)
    assert np.array_equal(finished[~mask], photograph[~mask])
    middle = finished[side // 2 - 2 : side // 2 + 2, side // 2 - 2 : side // 2 + 2].astype(int)
    # Seamless moves colours, less the deeper inside.
    assert np.abs(middle - (200, 30, 90)).max() <= (20 if style is MergeStyle.SEAMLESS else 0)


def test_the_fade_begins_at_the_border_and_is_inside() -> None:
    mask = disc(200)
    weights = fade(mask, 6)
    assert (weights[~mask] == 0).all() and weights[mask].min() > 0 and weights[100, 100] == 1
    row = weights[100, :100]
    assert (np.diff(row) >= 0).all()
    assert 5 <= ((row > 0) & (row < 1)).sum() <= 8
    assert (fade(np.ones((20, 20), dtype=bool), 6) == 1).all()
    # A mask at the picture's edge ends nowhere there.
    half = np.zeros((100, 100), dtype=bool)
    half[:, 50:] = True
    assert (fade(half, 6)[:, 60:] == 1).all()


def test_what_is_kept_stays_exact() -> None:
    photograph = np.random.default_rng(2).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    drawing = np.full((64, 64, 3), 128, np.uint8)
    kept = np.zeros((64, 64), dtype=bool)
    kept[24:40, 24:40] = True
    mask = disc(256, 0.45)
    finished = restore(photograph, drawing, region(mask), MergeStyle.BALANCED, kept)
    # All but the outermost pixel of the drawing and what its enlargement mixes it with.
    assert np.array_equal(finished[104:152, 104:152], photograph[104:152, 104:152])
    assert not np.array_equal(finished[40:60, 116:140], photograph[40:60, 116:140])


def test_seamless_meets_the_photographs_colours_at_the_border() -> None:
    """The drawing is darker than the photograph throughout: balanced shows a step, seamless hardly any."""
    photograph = np.full((256, 256, 3), 180, np.uint8)
    drawing = np.full((64, 64, 3), 150, np.uint8)
    mask = disc(256)
    ring = mask & ~disc(256, 0.3 - 0.05)
    steps = {
        style: float(np.abs(restore(photograph, drawing, region(mask), style)[ring].astype(int) - 180).mean())
        for style in (MergeStyle.BALANCED, MergeStyle.SEAMLESS)
    }
    assert steps[MergeStyle.SEAMLESS] < 0.5 * steps[MergeStyle.BALANCED]


def test_detailed_is_sharper_where_the_drawing_was_enlarged() -> None:
    photograph = np.full((512, 512, 3), 128, np.uint8)
    drawing = np.asarray(Image.fromarray(np.tile(np.uint8([[60, 190], [190, 60]]), (4, 4))).resize((64, 64), 0))
    drawing = np.stack([drawing] * 3, axis=-1)
    mask = disc(512, 0.45)
    inner = disc(512, 0.35)
    steep = {
        style: np.abs(np.gradient(restore(photograph, drawing, region(mask), style)[..., 0].astype(float))[1])[
            inner
        ].max()
        for style in (MergeStyle.BALANCED, MergeStyle.DETAILED)
    }
    assert steep[MergeStyle.DETAILED] > 1.05 * steep[MergeStyle.BALANCED]


def test_a_membrane_spreads_what_is_around() -> None:
    values = np.zeros((40, 60, 1), np.float32)
    values[:, :30] = 10
    hole = np.zeros((40, 60), dtype=bool)
    hole[10:30, 10:50] = True
    values[hole] = 99
    spread = spread_inwards(values, hole)
    assert np.array_equal(spread[~hole], values[~hole])
    assert spread[hole].min() >= 0 and spread[hole].max() <= 10
    assert spread[20, 12, 0] > 8 and spread[20, 47, 0] < 2
    assert (spread_inwards(values, np.ones((40, 60), dtype=bool)) == 0).all()
