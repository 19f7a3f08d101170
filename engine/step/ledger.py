"""Keeps the engine's counts; written by its threads, read by any."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from engine.step.flight import Flight, Outcome
from engine.step.metrics import EngineMetrics
from engine.step.tick import Tick


class Ledger:
    """Counts behind `EngineMetrics`. Of several lanes' seconds each counts as its part of the engine's."""

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._lock = threading.Lock()
        self._born = time.perf_counter()
        self._now = EngineMetrics()

    def rejected(self) -> None:
        """A request met a full queue."""
        with self._lock:
            self._now = replace(self._now, rejected=self._now.rejected + 1)

    def ticked(self, tick: Tick, runtime_seconds: float, seconds: float, skipped: int) -> None:
        """One tick of `seconds` was made, `runtime_seconds` of it inside the denoiser; caches saved evaluations."""
        share = 1 if tick.alone else self._lanes
        with self._lock:
            now = self._now
            self._now = replace(
                now,
                last_rows=tick.rows,
                last_seconds=runtime_seconds,
                ticks=now.ticks + 1,
                rows=now.rows + tick.rows,
                padded_rows=now.padded_rows + tick.padded_rows - tick.rows,
                skipped=now.skipped + skipped,
                busy_seconds=now.busy_seconds + seconds / share,
                runtime_seconds=now.runtime_seconds + runtime_seconds / share,
            )

    def settled(self, ended: Sequence[Flight], ongoing: Sequence[Flight], queued_seconds: float) -> None:
        """These flights have just ended, those go on."""
        outcomes = [flight.outcome for flight in ended]
        active = sum(cohort.images for flight in ongoing for cohort in flight.cohorts if cohort.started)
        with self._lock:
            now = self._now
            self._now = replace(
                now,
                active=active,
                finished=now.finished + outcomes.count(Outcome.FINISHED),
                cancelled=now.cancelled + outcomes.count(Outcome.CANCELLED),
                failed=now.failed + outcomes.count(Outcome.FAILED),
                queued_seconds=queued_seconds,
            )

    def snapshot(self, held: int) -> EngineMetrics:
        """The counts now, with `held` images in the engine."""
        with self._lock:
            alive = time.perf_counter() - self._born
            return replace(self._now, waiting=max(0, held - self._now.active), alive_seconds=alive)
