"""One beat of the engine: plan, one denoiser call, step every image, tell the sinks."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.errors import DenoiseError
from engine.runtimes.base import Runtime
from engine.settings import Policy
from engine.step.batch import Batcher
from engine.step.bucket import Bucket, RowLimits
from engine.step.cost import CostModel
from engine.step.flight import Cohort, Flight
from engine.step.plan import plan

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one tick did: rows of images, rows of padding, seconds inside the denoiser."""

    rows: int
    padded_rows: int
    runtime_seconds: float


class Ticker:
    """Runs ticks on whatever is in flight. Keeps no request's state: that lives and dies with its flight."""

    def __init__(self, runtime: Runtime, costs: CostModel, limits: RowLimits, policy: Policy) -> None:
        self._batcher = Batcher(runtime)
        self._costs = costs
        self._limits = limits
        self._policy = policy
        self._credit = 0.0

    def tick(self, flights: Sequence[Flight]) -> TickReport:
        """Advance what the planner chooses. Failures end the flights they belong to and are never raised."""
        cohorts = [cohort for flight in flights for cohort in flight.cohorts if cohort.calls_left]
        chosen = plan([c.candidate(at) for at, c in enumerate(cohorts)], self._costs, self._policy, self._credit)
        self._credit = chosen.credit
        riders = [cohorts[number] for number in chosen.cohorts]
        rows = sum(cohort.rows for cohort in riders)
        padded = self._limits.hard(chosen.bucket) if chosen.bucket.deterministic else rows
        seconds = self._advance(riders, padded)
        if seconds is not None:
            self._costs.learn(chosen.bucket, padded, seconds)
        for flight in dict.fromkeys(cohort.flight for cohort in riders):
            flight.report()
        return TickReport(rows, padded - rows, seconds or 0.0)

    def idle(self) -> None:
        """Nothing is in flight: let go of the last batch."""
        self._batcher.forget()
        self._credit = 0.0

    def _advance(self, riders: Sequence[Cohort], padded: int) -> float | None:
        """Call the denoiser and step. On failure each request is tried alone, so that only the culprit fails.

        Returns the call's seconds, None when it failed.
        """
        started = time.perf_counter()
        try:
            predictions = self._batcher.predict(riders, padded)
            finite = bool(torch.stack([torch.isfinite(prediction).all() for prediction in predictions]).all())
        except Exception as error:
            self._batcher.forget()
            self._recover(riders, padded, error)
            return None
        seconds = time.perf_counter() - started
        for cohort, prediction in zip(riders, predictions, strict=True):
            if finite or bool(torch.isfinite(prediction).all()):
                self._step(cohort, prediction)
            else:
                cohort.flight.fail(DenoiseError(f"the denoiser's output is not finite after step {cohort.steps_done}"))
        return seconds

    def _recover(self, riders: Sequence[Cohort], padded: int, error: Exception) -> None:
        if len(riders) > 1:
            _log.warning("a batch of %d requests failed (%s); trying each alone", len(riders), error)
            fixed = riders[0].flight.bucket.deterministic
            for cohort in riders:
                if cohort.flight.outcome is None:
                    self._advance([cohort], padded if fixed else cohort.rows)
            return
        _log.error("the denoiser failed", exc_info=error)
        failure = DenoiseError(f"the denoiser failed: {error}")
        failure.__cause__ = error
        riders[0].flight.fail(failure)

    def _step(self, cohort: Cohort, prediction: torch.Tensor) -> None:
        """Step every image; keep the estimates where this call completes a step that wants a preview."""
        flight = cohort.flight
        try:
            before = cohort.steps_done
            after = flight.schedule.steps_after[len(flight.schedule.timesteps) - cohort.calls_left]
            samplers = cohort.samplers(prediction.device)
            wanted = [step for step in flight.request.preview_steps if before < step <= after]
            estimates = [s.estimate(prediction[at : at + 1]) for at, s in enumerate(samplers)] if wanted else []
            for at, sampler in enumerate(samplers):
                sampler.step(prediction[at : at + 1])
            if not cohort.calls_left and not bool(torch.isfinite(cohort.latents).all()):
                raise DenoiseError("the latents are not finite")
        except Exception as error:
            _log.error("a sampler failed", exc_info=error)
            flight.fail(error if isinstance(error, DenoiseError) else DenoiseError(f"the sampler failed: {error}"))
            return
        for step in wanted:
            flight.keep_preview(cohort, step, estimates)


def expected_seconds(flights: Sequence[Flight], costs: CostModel) -> float:
    """Seconds to work off these flights in batches of the size worth going to."""
    per_row: dict[Bucket, float] = {}
    total = 0.0
    for flight in flights:
        bucket = flight.bucket
        if bucket not in per_row:
            cap = costs.cap(bucket)
            per_row[bucket] = costs.seconds(bucket, cap) / cap
        total += per_row[bucket] * sum(cohort.calls_left * cohort.rows for cohort in flight.cohorts)
    return total
