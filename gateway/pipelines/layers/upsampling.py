"""Layers at another size than the model drew them at: edges where the picture has its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter

from gateway.domain.layers import Sheet
from gateway.domain.pictures import PictureSize
from gateway.pipelines.frame import Box, resize, size_of
from gateway.pipelines.layers.bounds import bounds_of

_Floats = npt.NDArray[np.float32]
_Planes = Sequence[Sequence[_Floats]]
"""A matrix a pixel."""

_WINDOW = 5
"""Pixels of the drawing in which one line leads from the picture's colours to alpha."""
_FLAT = 1e-3
"""Variance, of 1, below which a window's colours are texture and say nothing."""
_LEAST = np.float32(1 / 256)
"""What a fully transparent pixel's colours weigh, which nothing else says."""
_MARGIN = 2
"""Pixels of the drawing by which a layer may grow at its edges."""


@dataclass(frozen=True, slots=True)
class _Part:
    """`box` of a picture of size `large`, of what is drawn at `small`."""

    small: PictureSize
    large: PictureSize
    box: Box

    def scaled(self, plane: _Floats) -> _Floats:
        """Of a drawn plane. Bilinear: it never goes beyond the values around; downwards it takes in all of them."""
        across, down = self.small.width / self.large.width, self.small.height / self.large.height
        box = (self.box.left * across, self.box.top * down, self.box.right * across, self.box.bottom * down)
        size = self.box.size
        image = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
        return np.array(image.resize((size.width, size.height), Image.Resampling.BILINEAR, box))


def at_size_of(source: Sheet, drawn: npt.NDArray[np.uint8], seen: Sheet) -> npt.NDArray[np.uint8]:
    """`drawn` [layers, height, width, 4] at `source`'s size; untouched where it has it already.

    `seen`: the source at the size of the drawing. Black where a layer is fully transparent.
    """
    small, large = size_of(drawn[0]), size_of(source)
    if small == large:
        return drawn.copy()
    lines = None
    if large.width * large.height > small.width * small.height:
        lines = _lines(_guide(seen), drawn[..., 3].astype(np.float32) / np.float32(255))
    scaled = np.zeros((len(drawn), large.height, large.width, 4), dtype=np.uint8)
    for index, layer in enumerate(drawn):
        if (layer[..., 3] == 255).all():
            scaled[index, ..., :3] = resize(layer[..., :3], large, Image.Resampling.BILINEAR)
            scaled[index, ..., 3] = 255
            continue
        part = _shown(layer, small, large)
        if part is not None:
            target = scaled[index][part.box.slices]
            target[..., :3] = _colours(layer, part)
            target[..., 3] = _alpha(layer, source, part, None if lines is None else lines[index])
    return scaled


def _shown(layer: Sheet, small: PictureSize, large: PictureSize) -> _Part | None:
    """Where it may show anything at all."""
    box = bounds_of(layer, least=1)
    if box is None:
        return None
    across, down = large.width / small.width, large.height / small.height
    left, top = int((box.left - _MARGIN) * across), int((box.top - _MARGIN) * down)
    right, bottom = int((box.right + _MARGIN) * across) + 1, int((box.bottom + _MARGIN) * down) + 1
    return _Part(small, large, Box(max(0, left), max(0, top), min(large.width, right), min(large.height, bottom)))


def _alpha(layer: Sheet, source: Sheet, part: _Part, line: _Floats | None) -> npt.NDArray[np.uint8]:
    """What the line says, within what the alphas around allow: insides stay as flat as they are."""
    alpha = layer[..., 3].astype(np.float32) / np.float32(255)
    if line is None:
        return _to_bytes(part.scaled(alpha))
    guided = part.scaled(line[-1])
    for slope, channel in zip(line[:-1], _guide(source[part.box.slices], len(line) - 1), strict=True):
        guided += part.scaled(slope) * channel
    lowest = part.scaled(minimum_filter(alpha, 3, mode="nearest"))
    highest = part.scaled(maximum_filter(alpha, 3, mode="nearest"))
    return _to_bytes(np.clip(guided, lowest, highest))


def _colours(layer: Sheet, part: _Part) -> npt.NDArray[np.uint8]:
    """Straight, each weighed by its alpha: what is not seen does not bleed into what is."""
    weights = np.maximum(layer[..., 3].astype(np.float32) / np.float32(255), _LEAST)
    large = part.scaled(weights)
    channels = [part.scaled(layer[..., channel] * weights) / large for channel in range(3)]
    colours: npt.NDArray[np.uint8] = np.rint(np.clip(np.stack(channels, axis=-1), 0, 255)).astype(np.uint8)
    return colours


def _guide(source: Sheet, channels: int | None = None) -> _Floats:
    """[channels, height, width], 0 to 1: premultiplied colours and alpha; by default without that where it is 1."""
    values = np.moveaxis(source, -1, 0).astype(np.float32) / np.float32(255)
    values[:3] *= values[3]
    return values[: channels or (3 if (values[3] == 1).all() else 4)]


def _lines(guide: _Floats, alphas: _Floats) -> _Floats:
    """[layers, channels + 1, height, width]: around each pixel the best line from the guide to each alpha (He et al.,
    "Guided image filtering"), its offset last.
    """
    means = [_mean(channel) for channel in guide]
    count = len(guide)
    spread = [
        [_mean(guide[row] * guide[column]) - means[row] * means[column] for column in range(count)]
        for row in range(count)
    ]
    for channel in range(count):
        spread[channel][channel] += np.float32(_FLAT)
    inverse = _inverse(spread)
    return np.stack([_line(guide, means, inverse, alpha) for alpha in alphas])


def _line(guide: _Floats, means: Sequence[_Floats], inverse: _Planes, alpha: _Floats) -> _Floats:
    """[channels + 1, height, width], of one layer."""
    level = _mean(alpha)
    together = [_mean(channel * alpha) - mean * level for channel, mean in zip(guide, means, strict=True)]
    slopes = [_dot(row, together) for row in inverse]
    return np.stack([_mean(part) for part in (*slopes, level - _dot(slopes, means))])


def _inverse(matrix: _Planes) -> _Planes:
    """Of one small symmetric positive matrix a pixel, by Gauss and Jordan: libraries take them one by one."""
    count = len(matrix)
    left = [list(row) for row in matrix]
    right = [[np.full_like(matrix[0][0], row == column) for column in range(count)] for row in range(count)]
    for pivot in range(count):
        scale = 1 / left[pivot][pivot]
        left[pivot] = [value * scale for value in left[pivot]]
        right[pivot] = [value * scale for value in right[pivot]]
        for row in range(count):
            if row != pivot:
                factor = left[row][pivot]
                left[row] = [value - factor * other for value, other in zip(left[row], left[pivot], strict=True)]
                right[row] = [value - factor * other for value, other in zip(right[row], right[pivot], strict=True)]
    return right


def _dot(first: Sequence[_Floats], second: Sequence[_Floats]) -> _Floats:
    total = first[0] * second[0]
    for one, other in zip(first[1:], second[1:], strict=True):
        total += one * other
    return total


def _mean(plane: _Floats) -> _Floats:
    mean: _Floats = uniform_filter(plane, _WINDOW, mode="nearest")
    return mean


def _to_bytes(plane: _Floats) -> npt.NDArray[np.uint8]:
    values: npt.NDArray[np.uint8] = np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8)
    return values
