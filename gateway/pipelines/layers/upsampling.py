"""Layers at another size than the model drew them at: edges where the picture has its own."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter

from gateway.domain.layers import Sheet
from gateway.domain.pictures import PictureSize
from gateway.pipelines.frame import size_of

_Floats = npt.NDArray[np.float32]
_Planes = Sequence[Sequence[_Floats]]
"""A matrix a pixel."""

_WINDOW = 5
"""Pixels of the drawing in which one line leads from the picture's colours to alpha."""
_FLAT = 1e-3
"""Variance, of 1, below which a window's colours are texture and say nothing."""
_LEAST = np.float32(1 / 256)
"""What a fully transparent pixel's colours weigh, which nothing else says."""


def at_size_of(source: Sheet, drawn: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """`drawn` [layers, height, width, 4] at `source`'s size; untouched where it has it already."""
    size = size_of(source)
    if size == size_of(drawn[0]):
        return drawn.copy()
    alphas = _alphas(source, drawn[..., 3], size)
    scaled = np.empty((len(drawn), size.height, size.width, 4), dtype=np.uint8)
    for target, layer, alpha in zip(scaled, drawn, alphas, strict=True):
        target[..., :3] = _colours(layer, size)
        target[..., 3] = alpha
    return scaled


def _alphas(source: Sheet, drawn: npt.NDArray[np.uint8], size: PictureSize) -> Sequence[npt.NDArray[np.uint8]]:
    small = PictureSize(drawn.shape[2], drawn.shape[1])
    alphas = drawn.astype(np.float32) / np.float32(255)
    if size.width * size.height <= small.width * small.height:
        return [_to_bytes(_resized(alpha, size)) for alpha in alphas]
    guide = _guide(source)
    lines = _lines(np.stack([_resized(channel, small) for channel in guide]), alphas)
    return [_to_bytes(_guided(alpha, guide, line, size)) for alpha, line in zip(alphas, lines, strict=True)]


def _guide(source: Sheet) -> _Floats:
    """[channels, height, width], 0 to 1: premultiplied colours, and alpha where there is any."""
    values = np.moveaxis(source, -1, 0).astype(np.float32) / np.float32(255)
    alpha = values[3]
    if (alpha == 1).all():
        return values[:3]
    values[:3] *= alpha
    return values


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


def _guided(alpha: _Floats, guide: _Floats, line: _Floats, size: PictureSize) -> _Floats:
    """What the line says, within what the alphas around allow: insides stay as flat as they are."""
    large = _resized(line[-1], size)
    for slope, channel in zip(line[:-1], guide, strict=True):
        large += _resized(slope, size) * channel
    lowest = _resized(minimum_filter(alpha, 3, mode="nearest"), size)
    highest = _resized(maximum_filter(alpha, 3, mode="nearest"), size)
    return np.clip(large, lowest, highest)


def _colours(layer: Sheet, size: PictureSize) -> npt.NDArray[np.uint8]:
    """Straight, each weighed by its alpha: what is not seen does not bleed into what is."""
    weights = np.maximum(layer[..., 3].astype(np.float32) / np.float32(255), _LEAST)
    large = _resized(weights, size)
    channels = [_resized(layer[..., channel] * weights, size) / large for channel in range(3)]
    colours: npt.NDArray[np.uint8] = np.rint(np.clip(np.stack(channels, axis=-1), 0, 255)).astype(np.uint8)
    return colours


def _mean(plane: _Floats) -> _Floats:
    mean: _Floats = uniform_filter(plane, _WINDOW, mode="nearest")
    return mean


def _resized(plane: _Floats, size: PictureSize) -> _Floats:
    """Bilinear: it never goes beyond the values around; downwards it takes in all of them."""
    image = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    return np.array(image.resize((size.width, size.height), Image.Resampling.BILINEAR))


def _to_bytes(plane: _Floats) -> npt.NDArray[np.uint8]:
    values: npt.NDArray[np.uint8] = np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8)
    return values
