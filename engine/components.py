"""How stateless components (text encoder, VAE decoder) run a batch."""

from collections.abc import Sequence

import numpy as np

from engine.runtimes.base import Runtime
from families.tensors import Array


def run_batch(
    runtime: Runtime, arrays: Sequence[Array], *, max_batch: int, deterministic: bool = False
) -> tuple[Array, ...]:
    """Run `arrays` (batch axis first, equal rows) in chunks of at most `max_batch` rows.

    `deterministic` pads every chunk to `max_batch` rows, so that a row meets the same kernels alone and in a crowd.
    Raises ValueError when the arrays' rows differ or are none.
    """
    rows = {array.shape[0] for array in arrays}
    if len(rows) != 1 or 0 in rows:
        raise ValueError(f"inputs must have one and the same number of rows, at least 1; got {sorted(rows)}")
    total = rows.pop()
    chunks = []
    for start in range(0, total, max_batch):
        part = [array[start : start + max_batch] for array in arrays]
        count = part[0].shape[0]
        if deterministic:
            part = [pad_to(array, max_batch) for array in part]
        chunks.append(tuple(output[:count] for output in runtime.run_arrays(part)))
    if len(chunks) == 1:
        return chunks[0]
    return tuple(np.concatenate(outputs) for outputs in zip(*chunks, strict=True))


def pad_to(array: Array, rows: int) -> Array:
    """The array with its first row repeated until it has `rows` rows: real values, so no kernel sees odd numbers."""
    missing = rows - array.shape[0]
    if missing <= 0:
        return array
    return np.concatenate([array, np.repeat(array[:1], missing, axis=0)])
