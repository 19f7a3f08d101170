"""Larger batches than a component takes go in chunks; deterministic ones always go in whole chunks."""

import numpy as np

from families.tensors import Array


def split(array: Array, max_batch: int, *, deterministic: bool) -> list[tuple[Array, int]]:
    """Chunks of at most `max_batch` rows, each with the number of its rows that count.

    `deterministic` repeats a chunk's first row until the chunk is full: no server can then add other callers' rows, and
    the shape, hence the arithmetic, never varies. Real values, so no kernel sees odd numbers.
    """
    chunks = []
    for start in range(0, len(array), max_batch):
        part = array[start : start + max_batch]
        count = len(part)
        if deterministic and count < max_batch:
            part = np.concatenate([part, np.repeat(part[:1], max_batch - count, axis=0)])
        chunks.append((part, count))
    return chunks
