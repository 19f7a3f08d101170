"""Layers to one picture.

In 32-bit floats by W3C's formulas, pixel by pixel, and rounded once, at the end, to the nearest byte (halves to the
even one): the same layers give the same bytes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gateway.domain.layers import Layer, Sheet
from gateway.domain.pictures import PictureSize
from gateway.pipelines.frame import Box
from gateway.pipelines.layers.bands import bands
from gateway.pipelines.layers.blend import BlendMode, blend
from gateway.pipelines.layers.placed import Placed, cut, placed

_Floats = npt.NDArray[np.float32]


def composite_of(layers: Sequence[Layer]) -> Sheet:
    """At least one, bottom to top, as they are."""
    height, width = layers[0].pixels.shape[:2]
    return compose([placed(layer) for layer in layers], PictureSize(width, height))


def compose(layers: Sequence[Placed], size: PictureSize, background: tuple[int, int, int] | None = None) -> Sheet:
    """Bottom to top; what lies outside of `size` is cut off. `background`: an opaque colour below everything."""
    picture = np.empty((size.height, size.width, 4), dtype=np.uint8)
    seen = [cut(layer) for layer in layers if layer.shows]
    for rows in bands(size.height, size.width):
        picture[rows] = _band(seen, rows, size.width, background)
    return picture


def _band(layers: Sequence[Placed], rows: slice, width: int, background: tuple[int, int, int] | None) -> Sheet:
    # Premultiplied colours and alpha, 0 to 1.
    ground = np.zeros((rows.stop - rows.start, width, 4), dtype=np.float32)
    if background is not None:
        ground[...] = np.array([*background, 255], dtype=np.float32) / np.float32(255)
    for layer in layers:
        part = _common(layer, rows, width)
        if part is not None:
            region = ground[part.top - rows.start : part.bottom - rows.start, part.left : part.right]
            columns = slice(part.left - layer.x, part.right - layer.x)
            _lay(region, layer.pixels[part.top - layer.y : part.bottom - layer.y, columns], layer)
    return _bytes(ground)


def _common(layer: Placed, rows: slice, width: int) -> Box | None:
    """What of the band lies under the layer."""
    height, own_width = layer.pixels.shape[:2]
    left, right = max(0, layer.x), min(width, layer.x + own_width)
    top, bottom = max(rows.start, layer.y), min(rows.stop, layer.y + height)
    return Box(left, top, right, bottom) if left < right and top < bottom else None


def _lay(ground: _Floats, sheet: Sheet, layer: Placed) -> None:
    """In place."""
    straight = sheet.astype(np.float32) / np.float32(255)
    colours, alpha = straight[..., :3], straight[..., 3:] * np.float32(layer.opacity)
    below = ground[..., 3:]
    if layer.blend is not BlendMode.NORMAL:
        backdrop = ground[..., :3] / np.where(below > 0, below, 1)
        colours = (1 - below) * colours + below * blend(layer.blend, np.minimum(backdrop, 1), colours)
    ground[..., :3] = colours * alpha + ground[..., :3] * (1 - alpha)
    ground[..., 3:] = alpha + below * (1 - alpha)


def _bytes(ground: _Floats) -> Sheet:
    """Straight; black where nothing is."""
    alpha = ground[..., 3:]
    straight = np.concatenate([ground[..., :3] / np.where(alpha > 0, alpha, 1), alpha], axis=-1)
    sheet: Sheet = np.rint(np.clip(straight * 255, 0, 255)).astype(np.uint8)
    sheet[sheet[..., 3] == 0] = 0
    return sheet
