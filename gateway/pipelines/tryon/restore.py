"""Back to the photograph: the drawing fades in inside of the mask, at the photograph's own resolution.

Outside of the mask every pixel stays the very one that came in. On its inner side the drawing's weight rises from the
mask's border; how far, and what else is done, is the merge style's.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from scipy import ndimage

from gateway.domain.pictures import PictureSize
from gateway.domain.tryon import MergeStyle
from gateway.domain.tryon_drawing import MaskPixels, Rgb
from gateway.pipelines.frame import resize
from gateway.pipelines.tryon.crop import Window
from gateway.pipelines.tryon.membrane import spread_inwards
from gateway.pipelines.tryon.region import Region

_WORKING_SIDE = 1024
"""Distances are measured in pictures of at most this size: on 50 megapixels they would take seconds."""
_SHARPENED_PERCENT = 60
_MATCHED_LEVELS = 32
"""A larger difference at the border is no tint but another thing that begins there."""

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Style:
    """`fade` and `matched` in pixels of the drawing: how far the fade, and the matching of colours, reach inwards."""

    fade: float
    matched: float = 0.0
    sharpened: bool = False


_STYLES = {
    MergeStyle.BALANCED: _Style(fade=2.0),
    MergeStyle.SEAMLESS: _Style(fade=5.0, matched=8.0),
    MergeStyle.DETAILED: _Style(fade=0.75, sharpened=True),
}


def restore(photograph: Rgb, drawing: Rgb, region: Region, style: MergeStyle, kept: MaskPixels | None = None) -> Rgb:
    """The photograph [height, width, 3] with the drawing [drawn height, drawn width, 3] in the region's mask.

    `kept` [drawn height, drawn width]: where the drawing shows what the photograph shows too, and gives way to it.
    """
    how, window = _STYLES[style], region.window
    inside = window.inside.slices
    part, masked = photograph[inside], region.mask[inside]
    new = window.from_model(drawing)
    if how.sharpened and window.scale > 1:
        new = _sharpened(new, window.scale)
    weights = fade(masked, how.fade * window.scale)
    if kept is not None:
        weights = weights * (1 - _softened(kept, window))
    mixed = new.astype(np.float32)
    if how.matched:
        mixed = mixed + _matching(part, new, masked, how.matched * window.scale)
    finished = photograph.copy()
    # Whole numbers plus nothing stay the same whole numbers.
    finished[inside] = np.clip(np.rint(part + (mixed - part) * weights[..., None]), 0, 255)
    return finished


def fade(mask: MaskPixels, width: float) -> Weights:
    """Rises from 0 outside of the mask [height, width] to 1 `width` pixels inside; beyond the picture is no border."""
    small, factor = _working(mask)
    depth = _depth(small) * factor
    weights = np.minimum(1, depth / (width + 1)).astype(np.float32)
    if factor != 1:
        image = Image.fromarray(weights)
        weights = np.array(image.resize((mask.shape[1], mask.shape[0]), Image.Resampling.BILINEAR))
    faded: Weights = np.where(mask, np.clip(weights, 0, 1), 0).astype(np.float32)
    return faded


def _working(mask: MaskPixels) -> tuple[MaskPixels, float]:
    """The mask at a size at which distances are quickly measured, and the pixels along one of its pixels."""
    factor = max(mask.shape) / _WORKING_SIDE
    if factor <= 1:
        return mask, 1.0
    size = PictureSize(*(max(1, round(side / factor)) for side in mask.shape[::-1]))
    return resize(mask.astype(np.uint8), size, Image.Resampling.NEAREST) > 0, factor


def _depth(mask: MaskPixels) -> npt.NDArray[np.float64]:
    """Distance of each pixel to the nearest one outside of the mask; where there is none, far."""
    if mask.all():
        return np.full(mask.shape, float(_WORKING_SIDE))
    depth: npt.NDArray[np.float64] = ndimage.distance_transform_edt(mask)
    return depth


def _softened(kept: MaskPixels, window: Window) -> Weights:
    """Weights of `inside`: 1 but for a soft border, which lies within what is kept."""
    inner = ndimage.binary_erosion(kept)
    soft = np.where(inner, 1.0, ndimage.gaussian_filter(inner.astype(np.float32), 0.7))
    image = Image.fromarray(np.rint(soft * 255).astype(np.uint8))
    return window.from_model(np.asarray(image), Image.Resampling.BILINEAR).astype(np.float32) / 255


def _sharpened(pixels: Rgb, scale: float) -> Rgb:
    filtered = Image.fromarray(pixels).filter(
        ImageFilter.UnsharpMask(radius=scale / 2, percent=_SHARPENED_PERCENT, threshold=2)
    )
    return np.array(filtered)


def _matching(part: Rgb, new: Rgb, mask: MaskPixels, reach: float) -> npt.NDArray[np.float32]:
    """What is added to the drawing so that it meets the photograph's colours at the border; less the deeper inside."""
    factor = math.ceil(max(mask.shape) / _WORKING_SIDE * 4)
    small = PictureSize(max(1, mask.shape[1] // factor), max(1, mask.shape[0] // factor))
    masked = resize(np.where(mask, np.uint8(255), np.uint8(0)), small, Image.Resampling.BOX) > 0
    difference = resize(part, small, Image.Resampling.BOX).astype(np.float32)
    difference -= resize(new, small, Image.Resampling.BOX)
    spread = np.clip(spread_inwards(difference, masked), -_MATCHED_LEVELS, _MATCHED_LEVELS)
    added = spread * np.exp(-_depth(masked) * factor / reach)[..., None]
    whole = [
        np.asarray(Image.fromarray(channel).resize((mask.shape[1], mask.shape[0]), Image.Resampling.BILINEAR))
        for channel in np.moveaxis(added.astype(np.float32), -1, 0)
    ]
    return np.stack(whole, axis=-1)
