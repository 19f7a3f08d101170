"""An even ground under a garment, told by the picture's border."""

import numpy as np

from gateway.domain.tryon_drawing import MaskPixels, Rgb
from gateway.pipelines.tryon.lab import to_lab

_BORDER = 0.03
"""Of the shorter side."""
_EVEN = 6.0
"""dE that nine tenths of an even border stay below."""
_DIFFERENT = 10.0
"""dE from the ground on which something lies there."""


def differs_from_border(pixels: Rgb) -> MaskPixels | None:
    """Where the picture [height, width, 3] is of another colour than its border; None where that is not even."""
    lab = to_lab(pixels)
    width = max(1, round(_BORDER * min(lab.shape[:2])))
    border = np.ones(lab.shape[:2], dtype=bool)
    border[width:-width, width:-width] = False
    ground = np.median(lab[border], axis=0)
    distance = np.sqrt(((lab - ground) ** 2).sum(axis=-1))
    if np.quantile(distance[border], 0.9) > _EVEN:
        return None
    different: MaskPixels = distance > _DIFFERENT
    return different
