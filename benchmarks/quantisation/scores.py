"""How far two answers are apart."""

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

Floats = npt.NDArray[np.float32]
Pictures = npt.NDArray[np.uint8]
"""[n, height, width, 3]."""

_WINDOW, _SIGMA = 11, 1.5  # those of the paper that defines SSIM (Wang et al., 2004)


def decibels(ratio: float) -> float:
    """Of an amplitude; 200 where it is infinite."""
    return min(200.0, float(20 * np.log10(ratio))) if ratio > 0 else -200.0


def psnr(got: Pictures, wanted: Pictures) -> float:
    """Mean over pictures, in dB; equal ones count as 60."""
    errors = np.square(got.astype(np.float64) - wanted).mean(axis=(1, 2, 3))
    return float(np.mean([min(60.0, 10 * np.log10(255.0**2 / error)) if error else 60.0 for error in errors]))


def ssim(got: Pictures, wanted: Pictures) -> float:
    """Mean structural similarity of luminance, 1 for equal pictures."""
    first, second = _luminance(got), _luminance(wanted)
    mean_a, mean_b = _blurred(first), _blurred(second)
    variance_a = _blurred(first * first) - mean_a**2
    variance_b = _blurred(second * second) - mean_b**2
    covariance = _blurred(first * second) - mean_a * mean_b
    small, smaller = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    light = (2 * mean_a * mean_b + small) / (mean_a**2 + mean_b**2 + small)
    structure = (2 * covariance + smaller) / (variance_a + variance_b + smaller)
    return float((light * structure).mean())


def _luminance(pictures: Pictures) -> torch.Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    return (torch.from_numpy(pictures.astype(np.float64)) @ weights)[:, None]


def _blurred(values: torch.Tensor) -> torch.Tensor:
    offsets = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
    bell = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    bell = bell / bell.sum()
    return functional.conv2d(functional.conv2d(values, bell[None, None, :, None]), bell[None, None, None, :])
