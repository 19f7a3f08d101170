"""Keeps the engine's counts; written by its thread, read by any."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from engine.step.flight import Flight, Outcome
from engine.step.metrics import EngineMetrics
from engine.step.tick import TickReport


class Ledger:
    """Counts behind `EngineMetrics`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._born = time.perf_counter()
        self._now = EngineMetrics()

    def rejected(self) -> None:
        """A request met a full queue."""
        with self._lock:
            self._now = replace(self._now, rejected=self._now.rejected + 1)

    def ticked(self, report: TickReport) -> None:
        """One denoiser call was made."""
        with self._lock:
            now = self._now
            self._now = replace(
                now,
                last_rows=report.rows,
                last_seconds=report.runtime_seconds,
                ticks=now.ticks + 1,
                rows=now.rows + report.rows,
                padded_rows=now.padded_rows + report.padded_rows,
                runtime_seconds=now.runtime_seconds + report.runtime_seconds,
            )

    def settled(self, flights: Sequence[Flight], seconds: float, queued_seconds: float) -> None:
        """A beat of `seconds` left these flights, ended and ongoing, behind."""
        outcomes = [flight.outcome for flight in flights]
        active = sum(c.images for f in flights if f.outcome is None for c in f.cohorts if c.started)
        with self._lock:
            now = self._now
            self._now = replace(
                now,
                active=active,
                finished=now.finished + outcomes.count(Outcome.FINISHED),
                cancelled=now.cancelled + outcomes.count(Outcome.CANCELLED),
                failed=now.failed + outcomes.count(Outcome.FAILED),
                busy_seconds=now.busy_seconds + seconds,
                queued_seconds=queued_seconds,
            )

    def snapshot(self, held: int) -> EngineMetrics:
        """The counts now, with `held` images in the engine."""
        with self._lock:
            alive = time.perf_counter() - self._born
            return replace(self._now, waiting=max(0, held - self._now.active), alive_seconds=alive)
