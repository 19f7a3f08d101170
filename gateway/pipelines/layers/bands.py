"""Pictures a few rows at a time: what is worked out in floats takes many times the memory of its bytes."""

from collections.abc import Iterator

_VALUES = 1 << 20
"""Pixels of all sheets together in a band: some 50 MB of floats."""


def bands(height: int, width: int, sheets: int = 1) -> Iterator[slice]:
    """Rows from the top, in slices that together are all of them."""
    rows = max(1, _VALUES // max(1, width * sheets))
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))
