"""Which shapes get buffers and a graph of their own: those that keep coming."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch

from engine.runtimes.tensorrt_context import Execution
from engine.runtimes.tensorrt_io import Shape

Key = tuple[Shape, ...]

# The first call of a shape may compile kernels and the second still fill caches; neither may be recorded.
WARM_UP_CALLS = 2


@dataclass(frozen=True, slots=True)
class ShapeBucket:
    """Buffers at fixed addresses for one set of input shapes, and how to run the engine on them.

    `execution` is what `replay` repeats: a graph does not keep alive what it recorded.
    """

    inputs: tuple[torch.Tensor, ...]
    outputs: tuple[torch.Tensor, ...]
    execution: Execution
    replay: Callable[[], None]


class ShapeBuckets:
    """At most `limit` buckets; the one that was used the longest ago makes room. None are made where `limit` is 0."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buckets: OrderedDict[Key, ShapeBucket] = OrderedDict()
        self._calls: OrderedDict[Key, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def find(self, key: Key) -> ShapeBucket | None:
        """The bucket of these shapes, now the latest used."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            self._buckets.move_to_end(key)
        return bucket

    def is_due(self, key: Key) -> bool:
        """Count a call without a bucket; True where these shapes have earned one."""
        if self._limit == 0:
            return False
        calls = self._calls.pop(key, 0) + 1
        self._calls[key] = calls
        # Shapes that came once would otherwise be remembered for ever.
        while len(self._calls) > 8 * self._limit:
            self._calls.popitem(last=False)
        return calls > WARM_UP_CALLS

    def add(self, key: Key, make: Callable[[], ShapeBucket]) -> ShapeBucket:
        """Make a bucket; the oldest one goes first, so that its memory serves the new one."""
        while len(self._buckets) >= self._limit:
            self._buckets.popitem(last=False)
        bucket = make()
        self._buckets[key] = bucket
        self._calls.pop(key, None)
        return bucket
