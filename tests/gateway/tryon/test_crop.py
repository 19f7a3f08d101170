"""Windows on photographs, and the masks that go through them."""

import numpy as np
import pytest

from gateway.domain.pictures import PictureSize
from gateway.pipelines.frame import Box
from gateway.pipelines.tryon.crop import window_around

SQUARE, TALL = PictureSize(128, 128), PictureSize(96, 128)


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_picture_of_the_drawings_size_is_drawn_as_it_is() -> None:
    pixels = noise(128, 128)
    window = window_around(PictureSize(128, 128), Box(30, 8, 98, 122), SQUARE)
    assert np.array_equal(window.to_model(pixels), pixels) and np.array_equal(window.from_model(pixels), pixels)
    assert window.scale == 1


@pytest.mark.parametrize("drawn", [SQUARE, TALL])
@pytest.mark.parametrize(
    ("size", "person"),
    [
        ((400, 300), (10, 20, 60, 130)),
        ((400, 300), (350, 150, 400, 300)),
        ((300, 900), (0, 0, 300, 250)),
        ((64, 64), (20, 20, 30, 50)),
        ((90, 500), (10, 10, 80, 490)),
        ((1000, 80), (400, 0, 500, 80)),
    ],
)
def test_a_window_holds_the_person_and_has_the_drawings_shape(
    drawn: PictureSize, size: tuple[int, int], person: tuple[int, int, int, int]
) -> None:
    region = Box(*person)
    window = window_around(PictureSize(*size), region, drawn)
    box, inside = window.box, window.inside
    assert (
        box.left <= region.left and box.top <= region.top and box.right >= region.right and box.bottom >= region.bottom
    )
    assert abs(box.size.width / box.size.height - drawn.width / drawn.height) < 0.02 * drawn.width / drawn.height
    # Beyond the picture only where the picture is shorter than the window.
    assert inside.size.width == min(box.size.width, size[0]) and inside.size.height == min(box.size.height, size[1])
    pixels = noise(*size)
    assert window.to_model(pixels).shape == (drawn.height, drawn.width, 3)
    drawing = noise(drawn.width, drawn.height)
    assert window.from_model(drawing).shape == (inside.size.height, inside.size.width, 3)


def test_the_edge_goes_on_beyond_the_picture() -> None:
    pixels = noise(64, 128)
    window = window_around(PictureSize(64, 128), Box(10, 2, 50, 126), SQUARE)
    shown = window.to_model(pixels)
    assert np.array_equal(shown[:, 32:96], pixels)
    assert (shown[:, :32] == pixels[:, :1]).all() and (shown[:, 96:] == pixels[:, -1:]).all()


@pytest.mark.parametrize("side", [128, 60, 777])
def test_what_is_drawn_covers_every_pixel_of_the_mask(side: int) -> None:
    mask = np.zeros((side, side), dtype=bool)
    mask[side // 3 : side // 2, side // 4 : side // 2] = True
    mask[0, 0] = mask[-1, -1] = True
    window = window_around(PictureSize(side, side), Box(0, 0, side, side), SQUARE)
    drawn = window.mask_to_model(mask)
    assert drawn[0, 0] and drawn[-1, -1]
    back = window.mask_from_model(drawn)
    # Its border lies within a pixel of the drawing of where it was.
    reach = int(np.ceil(side / 128))
    outside = np.zeros_like(mask)
    outside[side // 3 + reach : side // 2 - reach, side // 4 + reach : side // 2 - reach] = True
    assert (back & outside).sum() == outside.sum()
    assert back.mean() < mask.mean() + 0.05
