"""The few statistics of the tables."""

import math
import statistics
from collections.abc import Iterable, Sequence


def median(values: Iterable[float]) -> float | None:
    """The middle value; None of nothing."""
    listed = list(values)
    return statistics.median(listed) if listed else None


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest rank: the smallest value that at least `share` (0..1) of the values do not exceed; None of nothing.

    No interpolation, so that a tail figure is always a latency that a request really had.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], not {share}")
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


def median_of(values: Iterable[float | None]) -> float | None:
    """The median over the repeats that have a figure."""
    return median(value for value in values if value is not None)


def ratio(upper: float | None, lower: float | None) -> float | None:
    """`upper / lower`, None where either is missing or nothing can be divided by."""
    if upper is None or lower is None or lower <= 0:
        return None
    return upper / lower
