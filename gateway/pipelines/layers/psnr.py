"""How near a stack of layers comes to the picture that it was made of."""

import math

import numpy as np
import numpy.typing as npt

from gateway.domain.layers import Sheet
from gateway.pipelines.layers.bands import bands


def recomposition_psnr(source: Sheet, composite: Sheet) -> float:
    """In dB over premultiplied RGBA: colours count as much as they are seen. `math.inf` for equal pictures."""
    if source.shape != composite.shape:
        raise ValueError(f"pictures of {source.shape} and {composite.shape} cannot be compared")
    squares = 0.0
    for rows in bands(*source.shape[:2]):
        apart = _premultiplied(source[rows]) - _premultiplied(composite[rows])
        squares += float(np.square(apart).sum())
    return math.inf if squares == 0 else 10 * math.log10(255**2 * source.size / squares)


def _premultiplied(sheet: Sheet) -> npt.NDArray[np.float64]:
    """0 to 255."""
    values = sheet.astype(np.float64)
    values[..., :3] *= values[..., 3:] / 255
    return values
