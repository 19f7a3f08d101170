"""sRGB to CIELAB (D65): colours in which distances mean what eyes see."""

import numpy as np
import numpy.typing as npt

Lab = npt.NDArray[np.float32]
"""[..., 3]: lightness 0 to 100, a and b about -128 to 127."""

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    dtype=np.float32,
)
_WHITE = np.array([0.95047, 1.0, 1.08883], dtype=np.float32)
_LINEAR = np.array(
    [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (level / 255 for level in range(256))],
    dtype=np.float32,
)


def to_lab(pixels: npt.NDArray[np.uint8]) -> Lab:
    """Of pixels [..., 3]."""
    ratio = _LINEAR[pixels] @ _TO_XYZ.T / _WHITE
    # CIE's cube root, straight near black.
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    lab: Lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)
    return lab


def apart(first: Lab, second: Lab) -> float:
    """The mean distance (dE of 1976) of colours in pairs; 0 of none."""
    if first.size == 0:
        return 0.0
    return float(np.sqrt(((first - second) ** 2).sum(axis=-1)).mean())
