"""Memory, looked at often while models come and go."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Sample:
    """Bytes: `resident` of the processes that hold models, `reserved` by the policy's reckoning."""

    seconds: float
    resident: int
    reserved: int


def peaks(samples: Sequence[Sample], seconds: float = 1.0) -> tuple[Sample, ...]:
    """The most of each second, for the record: what was ever over a limit still is."""
    kept: dict[int, Sample] = {}
    for sample in samples:
        at = int(sample.seconds / seconds)
        before = kept.get(at, sample)
        kept[at] = Sample(before.seconds, max(before.resident, sample.resident), max(before.reserved, sample.reserved))
    return tuple(kept.values())


class Sampler:
    """A thread of its own, as a context manager."""

    def __init__(self, resident: Callable[[], int], reserved: Callable[[], int], period: float = 0.05) -> None:
        self.samples: list[Sample] = []
        self._resident = resident
        self._reserved = reserved
        self._period = period
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._over.wait(self._period):
            # What is reserved may change between the two questions: the larger of before and after is meant.
            before = self._reserved()
            resident = self._resident()
            self.samples.append(Sample(time.monotonic() - begun, resident, max(before, self._reserved())))
