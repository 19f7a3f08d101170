"""Batches in chunks; deterministic ones in whole chunks of real rows."""

import numpy as np

from families.chunks import split


def test_chunks_hold_every_row_once_and_padding_repeats_real_ones() -> None:
    array = np.arange(10).reshape(5, 2)
    loose = split(array, 3, deterministic=False)
    assert [(part.tolist(), count) for part, count in loose] == [(array[:3].tolist(), 3), (array[3:].tolist(), 2)]
    (first, _), (last, count) = split(array, 3, deterministic=True)
    assert first.tolist() == array[:3].tolist()
    assert last.tolist() == [[6, 7], [8, 9], [6, 7]]
    assert count == 2
