"""Two pictures of cloth held against each other, whatever their shapes: colours, and what is woven or printed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from gateway.domain.tryon_drawing import MaskPixels, Rgb
from gateway.pipelines.tryon.lab import Lab, apart, to_lab

_SHARES = np.linspace(0.05, 0.95, 10)
_ORIENTATIONS = 8
_HEM = 2
"""Pixels at a garment's outline that show its line or what lies beside it."""
_QUIET = 2.0
"""Lab units a pixel: slopes of plain cloth with its folds and shades."""
_LOUD = 4.0
"""Slopes from which on their directions tell of a pattern."""
_COLOUR_SCALE = 12.0


@dataclass(frozen=True, slots=True)
class Cloth:
    """What is compared. `colours` [shares, 3]: what these shares of the pixels stay below, in each channel of Lab.

    `slope`: mean steepness in Lab units a pixel; `directions` [8]: how it is spread over half a turn, sums to 1.
    `area`: pixels.
    """

    colours: Lab
    slope: float
    directions: npt.NDArray[np.float64]
    area: int


def cloth(pixels: Rgb, mask: MaskPixels) -> Cloth | None:
    """Of a garment's pixels [height, width, 3] in `mask`; None where there are hardly any."""
    inner = ndimage.binary_erosion(mask, iterations=_HEM)
    if inner.sum() < _ORIENTATIONS:
        return None
    lab = to_lab(pixels)
    colours = np.quantile(lab[inner], _SHARES, axis=0).astype(np.float32)
    down, across = np.gradient(lab, axis=(0, 1))
    # The structure tensor over all channels: steepness, and its direction without regard to its sign.
    dyy, dxx = (down[inner] ** 2).sum(axis=-1), (across[inner] ** 2).sum(axis=-1)
    dxy = (down[inner] * across[inner]).sum(axis=-1)
    steep = np.sqrt(dxx + dyy)
    angle = 0.5 * np.arctan2(2 * dxy, dxx - dyy) % np.pi
    bins = np.minimum((angle / np.pi * _ORIENTATIONS + 0.5).astype(int) % _ORIENTATIONS, _ORIENTATIONS - 1)
    directions = np.bincount(bins, weights=steep**2, minlength=_ORIENTATIONS)
    return Cloth(colours, float(steep.mean()), directions / max(directions.sum(), 1e-9), int(mask.sum()))


def colour_likeness(first: Cloth, second: Cloth) -> float:
    """0 to 1 by how far apart their colours are, the rarer ones too."""
    return float(np.exp(-apart(first.colours, second.colours) / _COLOUR_SCALE))


def pattern_likeness(flat: Cloth, worn: Cloth) -> float:
    """0 to 1 by how much there is to see and which way it runs; `worn` is the same cloth at another scale."""
    # A pattern that is drawn smaller has more edges to a pixel.
    slopes = (flat.slope * np.sqrt(flat.area / max(worn.area, 1)) + _QUIET, worn.slope + _QUIET)
    amount = min(slopes) / max(slopes)
    loud = min(1.0, max(0.0, max(slopes) - 2 * _QUIET) / _LOUD)
    same_way = 1 - np.abs(flat.directions - worn.directions).sum() / 2
    return float(amount * (1 - loud + loud * same_way))
