"""Rows of one batch on cores of their own.

A call on several threads makes them meet after every operator. For a small graph these meetings cost a fifth of the
time, and more when the cores are busy with something else. Rows do not depend on each other, so each core can take some
of them from end to end, and the threads meet once a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from engine.runtimes.base import Runtime
from families.tensors import Array

if TYPE_CHECKING:
    import torch

_EVEN_ENOUGH = 4
"""Rows a thread from which on it matters little that one thread has a row more than another."""


class RowsApart:
    """Runs `single`, whose calls use one thread and may overlap, on `threads` threads, each with its share of the rows.

    Batches that do not divide well go to `whole`, whose calls use every thread.
    """

    def __init__(self, whole: Runtime, single: Runtime, threads: int) -> None:
        self._whole = whole
        self._single = single
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="rows")

    @property
    def device(self) -> str:
        """See the protocol."""
        return self._whole.device

    @property
    def host_threads(self) -> int:
        """See the protocol."""
        return self._whole.host_threads

    @property
    def computes_on_host(self) -> bool:
        """See the protocol."""
        return self._whole.computes_on_host

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """See the protocol."""
        import torch  # noqa: PLC0415 - whoever passes tensors has it

        outputs = self.run_arrays([tensor.numpy() for tensor in inputs])
        return tuple(torch.from_numpy(output) for output in outputs)

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """See the protocol."""
        rows = inputs[0].shape[0]
        if not self._divides(rows):
            return self._whole.run_arrays(inputs)
        shares = self._shares(inputs)
        others = [self._pool.submit(self._single.run_arrays, share) for share in shares[1:]]
        first = self._single.run_arrays(shares[0])
        return _joined([first, *(other.result() for other in others)])

    def run_beside(self, inputs: Sequence[Array], *, as_alone: bool) -> tuple[Array, ...] | None:
        """See `SharesCores`. Kernels may depend on the number of rows: only the same cuts give the same bits."""
        rows = inputs[0].shape[0]
        if not as_alone or rows == 1:
            return self._single.run_arrays(inputs)
        if self._divides(rows):
            return _joined([self._single.run_arrays(share) for share in self._shares(inputs)])
        return None

    def _shares(self, inputs: Sequence[Array]) -> list[list[Array]]:
        rows = inputs[0].shape[0]
        ends = [rows * (at + 1) // self._threads for at in range(self._threads)]
        return [[array[start:end] for array in inputs] for start, end in zip([0, *ends], ends, strict=False)]

    def _divides(self, rows: int) -> bool:
        return rows >= self._threads and (rows % self._threads == 0 or rows >= _EVEN_ENOUGH * self._threads)


def _joined(parts: Sequence[tuple[Array, ...]]) -> tuple[Array, ...]:
    return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))
