"""One tick: choose rows, call the denoiser, step every image, tell the sinks."""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.errors import DenoiseError, OutOfMemoryError
from engine.settings import Policy
from engine.step.batch import Batcher
from engine.step.bucket import Bucket, RowLimits
from engine.step.cohort import Cohort
from engine.step.cost import CostModel
from engine.step.flight import Flight
from engine.step.plan import plan

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tick:
    """What rides in one denoiser call: `rows` of images in a batch of `padded_rows`.

    `alone`: no other lane computes meanwhile, every core is this call's.
    """

    riders: tuple[Cohort, ...]
    rows: int
    padded_rows: int
    alone: bool

    @property
    def bucket(self) -> Bucket:
        """The riders' bucket."""
        return self.riders[0].flight.bucket


@dataclass(frozen=True, slots=True)
class Computed:
    """What the denoiser said: a guided prediction or an error for each rider.

    `seconds` is the call's time, None when it failed.
    """

    predictions: tuple[torch.Tensor | Exception, ...]
    seconds: float | None


def compute(tick: Tick, batcher: Batcher) -> Computed:
    """Call the denoiser. On failure each request is tried alone, so that only the culprit fails. Never raises."""
    started = time.perf_counter()
    try:
        predictions = batcher.predict(tick.riders, tick.padded_rows, alone=tick.alone)
        finite = bool(torch.stack([torch.isfinite(prediction).all() for prediction in predictions]).all())
    except Exception as error:
        batcher.forget()
        return Computed(tuple(_each_alone(tick, batcher, error)), None)
    seconds = time.perf_counter() - started
    if finite:
        return Computed(tuple(predictions), seconds)
    return Computed(tuple(_only_finite(cohort, p) for cohort, p in zip(tick.riders, predictions, strict=True)), seconds)


def _each_alone(tick: Tick, batcher: Batcher, error: Exception) -> list[torch.Tensor | Exception]:
    if len(tick.riders) == 1:
        _log.error("the denoiser failed", exc_info=error)
        if isinstance(error, OutOfMemoryError):
            return [error]
        failure = DenoiseError(f"the denoiser failed: {error}")
        failure.__cause__ = error
        return [failure]
    _log.warning("a batch of %d requests failed (%s); trying each alone", len(tick.riders), error)
    predictions: list[torch.Tensor | Exception] = []
    for cohort in tick.riders:
        padded = tick.padded_rows if tick.bucket.deterministic else cohort.rows
        predictions += compute(Tick((cohort,), cohort.rows, padded, tick.alone), batcher).predictions
    return predictions


def _only_finite(cohort: Cohort, prediction: torch.Tensor) -> torch.Tensor | Exception:
    if bool(torch.isfinite(prediction).all()):
        return prediction
    return DenoiseError(f"the denoiser's output is not finite after step {cohort.steps_done}")


class Ticker:
    """Chooses ticks and books what they did. Keeps no request's state: that lives and dies with its flight.

    `lanes` ticks may be under way at once, each with cohorts of its own. One thread at a time may be in here.
    """

    def __init__(self, costs: CostModel, limits: RowLimits, policy: Policy, lanes: int) -> None:
        self._costs = costs
        self._limits = limits
        self._policy = policy
        self._lanes = lanes
        self._credit = 0.0
        self._riding: set[Cohort] = set()

    def choose(self, flights: Sequence[Flight]) -> Tick | None:
        """The next tick among what rides in no other; None when there is nothing to do."""
        ready = [c for flight in flights if flight.outcome is None for c in flight.cohorts if c.calls_left]
        free = [cohort for cohort in ready if cohort not in self._riding]
        if not free:
            return None
        # Every lane gets its part: one that takes all leaves the others idle.
        share = None if self._lanes == 1 else math.ceil(sum(cohort.rows for cohort in ready) / self._lanes)
        candidates = [cohort.candidate(at) for at, cohort in enumerate(free)]
        chosen = plan(candidates, self._costs, self._policy, self._credit, share)
        riders = tuple(free[number] for number in chosen.cohorts)
        if any(self._is_long(riders[0], beside=cohort) for cohort in self._riding):
            return None  # a short request has every core for itself, and is soon done
        self._credit = chosen.credit
        waiting = [cohort for cohort in free if cohort not in riders]
        alone = self._lanes == 1 or not (
            self._riding or any(not self._is_long(cohort, beside=riders[0]) for cohort in waiting)
        )
        self._riding.update(riders)
        rows = sum(cohort.rows for cohort in riders)
        padded = self._limits.hard(chosen.bucket) if chosen.bucket.deterministic else rows
        return Tick(riders, rows, padded, alone)

    def settle(self, tick: Tick, computed: Computed) -> int:
        """Step every rider that goes on. Failures end the flights they belong to and are never raised.

        Returns how many evaluations of an image step caches saved.
        """
        self._riding.difference_update(tick.riders)
        if computed.seconds is not None:
            # A tick that makes do with one core costs the machine only its part.
            share = 1 if tick.alone else self._lanes
            self._costs.learn(tick.bucket, tick.padded_rows, computed.seconds / share)
        skipped = 0
        for cohort, prediction in zip(tick.riders, computed.predictions, strict=True):
            if isinstance(prediction, Exception):
                cohort.flight.fail(prediction)
            elif cohort.flight.outcome is None:
                skipped += self._go_on(cohort, prediction)
        for flight in dict.fromkeys(cohort.flight for cohort in tick.riders):
            flight.report()
        return skipped

    def _is_long(self, cohort: Cohort, *, beside: Cohort) -> bool:
        return self._work(cohort) >= self._policy.long_ratio * self._work(beside)

    def _work(self, cohort: Cohort) -> float:
        flight = cohort.flight
        return flight.calls * len(flight.cohorts) * self._costs.seconds(flight.bucket, cohort.usual_rows)

    def idle(self) -> None:
        """Nothing is in flight: nobody is owed anything."""
        self._credit = 0.0

    def _go_on(self, cohort: Cohort, prediction: torch.Tensor) -> int:
        """Step with the denoiser's answer, and on through calls that need none. Returns the evaluations saved."""
        flight = cohort.flight
        saved = cohort.skipping
        self._step(cohort, prediction)
        while flight.outcome is None and cohort.calls_left and not cohort.rows:
            flight.report()
            if not flight.cancelled():
                saved += cohort.skipping
                self._step(cohort, None)
        return saved

    def _step(self, cohort: Cohort, evaluated: torch.Tensor | None) -> None:
        """Step every image; keep the estimates where this call completes a step that wants a preview."""
        flight = cohort.flight
        try:
            before = cohort.steps_done
            after = flight.schedule.steps_after[cohort.calls_done]
            wanted = [step for step in flight.request.preview_steps if before < step <= after]
            predictions = cohort.predictions(evaluated)
            estimates = cohort.estimates(predictions) if wanted else []
            cohort.step(predictions)
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
        total += per_row[bucket] * sum(cohort.rows_left for cohort in flight.cohorts)
    return total
