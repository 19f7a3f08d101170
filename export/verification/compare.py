"""One output against its reference: the checks' arithmetic."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.verification.report import Check, Comparison, Histogram, Tolerance
from families.tensors import Array

_LOWEST, _HIGHEST = -9, 2


@dataclass(frozen=True, slots=True)
class Compared:
    """What a check is about."""

    sample: str
    output: str
    comparison: Comparison


def compare(of: Compared, value: Array, reference: Array, tolerance: Tolerance) -> Check:
    """One output against its reference of the same shape and type."""
    sample, output, comparison = of.sample, of.output, of.comparison
    if value.shape != reference.shape or value.dtype != reference.dtype:
        problem = f"{value.dtype}{value.shape} where {reference.dtype}{reference.shape} was due"
        return Check(sample, output, comparison, None, 1.0, False, problem)
    got, wanted = value.astype(np.float64), reference.astype(np.float64)
    if not np.isfinite(got).all() or not np.isfinite(wanted).all():
        side = "torch's own output" if not np.isfinite(wanted).all() else "the output"
        return Check(sample, output, comparison, None, 1.0, False, f"NaN or Inf in {side}")
    difference = np.abs(got - wanted)
    error, differing = float(difference.max(initial=0.0)), float((difference > 0).mean())
    norm = _relative_norm(difference, wanted)
    problem = ""
    if tolerance.absolute is not None and bool(
        (difference > tolerance.absolute + tolerance.relative * np.abs(wanted)).any()
    ):
        problem = f"differs by {error:.3g}"
    elif differing > tolerance.differing:
        problem = f"{differing:.2%} of all values differ, {tolerance.differing:.2%} may"
    elif tolerance.norm is not None and norm > tolerance.norm:
        problem = f"differs by {norm:.2%} of its norm, {tolerance.norm:.2%} may be"
    return Check(sample, output, comparison, error, differing, not problem, problem, norm)


def compare_pictures(of: Compared, value: Array, reference: Array, tolerance: Tolerance) -> Check:
    """Two batches of pictures uint8 [B, H, W, 3]: the least likeness of a pair in dB counts."""
    difference = value.astype(np.float64) - reference.astype(np.float64)
    error, differing = float(np.abs(difference).max(initial=0.0)), float((difference != 0).mean())
    worst = float((difference**2).mean(axis=(1, 2, 3)).max())
    psnr = None if worst == 0 else float(10 * np.log10(255**2 / worst))
    problem = "" if psnr is None or psnr >= tolerance.psnr else f"{psnr:.1f} dB alike, {tolerance.psnr:g} dB are due"
    norm = _relative_norm(np.abs(difference), reference.astype(np.float64))
    return Check(of.sample, of.output, of.comparison, error, differing, not problem, problem, norm, psnr)


def histogram(value: Array, reference: Array) -> Histogram:
    """Absolute differences of finite values by powers of ten."""
    difference = np.abs(value.astype(np.float64) - reference.astype(np.float64))
    some = difference[(difference > 0) & np.isfinite(difference)]
    exponents = np.clip(np.floor(np.log10(some)).astype(np.int64), _LOWEST, _HIGHEST)
    counts = np.bincount(exponents - _LOWEST, minlength=_HIGHEST - _LOWEST + 1)
    return Histogram(_LOWEST, tuple(int(count) for count in counts), int((difference == 0).sum()))


def added(first: Histogram | None, second: Histogram) -> Histogram:
    """Both together."""
    if first is None:
        return second
    counts = tuple(one + other for one, other in zip(first.counts, second.counts, strict=True))
    return Histogram(first.lowest, counts, first.equal + second.equal)


def _relative_norm(difference: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> float:
    """Of the difference, over the reference's; of a reference of zeros the difference's own."""
    whole = float(np.linalg.norm(wanted))
    return float(np.linalg.norm(difference)) / (whole or 1.0)
