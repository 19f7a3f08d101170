"""Values that are known around a region, spread into it as smoothly as a membrane hangs in its frame."""

import numpy as np
import numpy.typing as npt

_LEAST = 1e-6

Field = npt.NDArray[np.float32]
"""[height, width, channels]."""


def spread_inwards(values: Field, region: npt.NDArray[np.bool_]) -> Field:
    """`values` outside of `region` [height, width], and inside of it what follows from them; zeros where nothing is
    known at all.

    Weighted means of ever coarser halves on the way up, taken over where nothing is known on the way down.
    """
    weights = (~region).astype(np.float32)[..., None]
    spread: Field = _fill(values.astype(np.float32) * weights, weights)
    return spread


def _fill(sums: Field, weights: Field) -> Field:
    known: Field = sums / np.maximum(weights, _LEAST)
    if max(weights.shape[:2]) == 1:
        return known
    coarse = _fill(_halved(sums), _halved(weights))
    shares = np.minimum(weights, 1)
    filled: Field = known * shares + _doubled(coarse, weights.shape[:2]) * (1 - shares)
    return filled


def _halved(field: Field) -> Field:
    """Means of 2 x 2; a last odd row or column has its own."""
    height, width = (side + side % 2 for side in field.shape[:2])
    padded = np.pad(field, ((0, height - field.shape[0]), (0, width - field.shape[1]), (0, 0)))
    halved: Field = padded.reshape(height // 2, 2, width // 2, 2, -1).mean(axis=(1, 3))
    return halved


def _doubled(field: Field, shape: tuple[int, ...]) -> Field:
    """Twice the size, each pixel between those around it."""
    doubled = field.repeat(2, axis=0).repeat(2, axis=1)
    padded = np.pad(doubled, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    smooth: Field = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4
    return smooth[: shape[0], : shape[1]]
