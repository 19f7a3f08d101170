"""A runtime without weights, and patience."""

import threading
import time
from collections.abc import Callable, Sequence

import torch

from families.tensors import Array


class ToyRuntime:
    """A real runtime, only without weights: the prediction is a third of the sample. Can be slow, fail, or be wrong."""

    device = "cpu"
    host_threads = 1
    computes_on_host = True

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.poison: float | None = None
        self.nan: float | None = None

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        assert self.gate.wait(30)
        sample, _, context = inputs
        self.batches.append(sample.shape[0])
        marks = context[:, 0, 0]
        if self.poison is not None and bool((marks == self.poison).any()):
            raise RuntimeError("poisoned row")
        out = sample / 3
        if self.nan is not None:
            out[marks == self.nan] = float("nan")
        return (out,)

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        raise NotImplementedError


def wait_for(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)
