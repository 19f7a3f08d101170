"""A request in flight: its cohorts of images and what it has told its sink."""

import logging
from collections.abc import Callable, Iterable
from enum import Enum

import torch

from engine.request import DenoiseRequest, DenoiseSink
from engine.samplers import Sampler, Schedule
from engine.step.bucket import Bucket
from engine.step.plan import Candidate

_log = logging.getLogger(__name__)


class Outcome(Enum):
    """How a request ended."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Cohort:
    """Images of one request which ride in the same batches, and so are always at the same call."""

    def __init__(self, number: int, flight: "Flight", seeds: tuple[int, ...]) -> None:
        self.number = number
        self.flight = flight
        self._seeds = seeds
        self._samplers: tuple[Sampler, ...] = ()

    @property
    def images(self) -> int:
        """Images of this cohort."""
        return len(self._seeds)

    @property
    def rows(self) -> int:
        """Rows this cohort takes in a batch."""
        return self.images * self.flight.rows_per_image

    @property
    def started(self) -> bool:
        """Whether it has latents already."""
        return bool(self._samplers)

    @property
    def calls_left(self) -> int:
        """Denoiser calls still to come."""
        return self._samplers[0].calls_left if self._samplers else len(self.flight.schedule.timesteps)

    @property
    def steps_done(self) -> int:
        """Steps done, as users count them."""
        return self._samplers[0].steps_done if self._samplers else 0

    @property
    def latents(self) -> torch.Tensor:
        """[images, C, h, w]."""
        return torch.cat([sampler.latents for sampler in self._samplers])

    def samplers(self, device: torch.device) -> tuple[Sampler, ...]:
        """One sampler an image; drawn when the first call is due, so waiting requests hold no latents."""
        if not self._samplers:
            shape = self.flight.bucket.latent_shape
            self._samplers = tuple(Sampler(self.flight.schedule, seed, shape, device) for seed in self._seeds)
        return self._samplers

    def candidate(self, number: int) -> Candidate:
        """What the planner must know; `number` is the planner's for this cohort."""
        flight = self.flight
        return Candidate(
            cohort=number,
            arrival=flight.arrival,
            bucket=flight.bucket,
            rows=self.rows,
            calls=len(flight.schedule.timesteps),
            calls_left=max(cohort.calls_left for cohort in flight.cohorts),
            lag=self.calls_left,
            cohorts=len(flight.cohorts),
            priority=flight.request.priority,
        )


class Flight:
    """One request from admission to its last event. A sink that raises ends its request: nobody listens there."""

    def __init__(
        self,
        request: DenoiseRequest,
        sink: DenoiseSink,
        *,
        arrival: int,
        schedule: Schedule,
        bucket: Bucket,
        rows_per_image: int,
        images_per_cohort: int,
    ) -> None:
        self.arrival = arrival
        self.request = request
        self.schedule = schedule
        self.bucket = bucket
        self.rows_per_image = rows_per_image
        self.outcome: Outcome | None = None
        self._sink = sink
        self._reported = 0
        self._previews: dict[int, dict[int, torch.Tensor]] = {}
        self.cohorts = tuple(
            Cohort(at, self, chunk) for at, chunk in enumerate(_even_chunks(request.seeds, images_per_cohort))
        )

    @property
    def images(self) -> int:
        """Images of the request."""
        return len(self.request.seeds)

    def cancelled(self) -> bool:
        """Ask the sink; True ends the request without another event."""
        if self.outcome is None and self._guard(self._sink.cancelled):
            self.outcome = Outcome.CANCELLED
        return self.outcome is Outcome.CANCELLED

    def keep_preview(self, cohort: Cohort, step: int, estimates: Iterable[torch.Tensor]) -> None:
        """Collect one cohort's estimate and send it once every cohort's is there."""
        parts = self._previews.setdefault(step, {})
        parts[cohort.number] = torch.cat(list(estimates))
        if len(parts) == len(self.cohorts):
            del self._previews[step]
            latents = torch.cat([parts[number] for number in sorted(parts)])
            self._guard(lambda: self._sink.preview(step, latents))

    def report(self) -> None:
        """Tell the sink how far every image is, and the latents when all are done."""
        done = min(cohort.steps_done for cohort in self.cohorts)
        for step in range(self._reported + 1, done + 1):
            self._guard(lambda step=step: self._sink.progress(step))  # type: ignore[misc]
        self._reported = done
        if self.outcome is None and not any(cohort.calls_left for cohort in self.cohorts):
            latents = torch.cat([cohort.latents for cohort in self.cohorts])
            self._guard(lambda: self._sink.finished(latents))
            self.outcome = self.outcome or Outcome.FINISHED

    def fail(self, error: Exception) -> None:
        """End the request with this error."""
        if self.outcome is None:
            self._guard(lambda: self._sink.failed(error))
            self.outcome = self.outcome or Outcome.FAILED

    def _guard(self, call: Callable[[], bool | None]) -> bool:
        if self.outcome is not None:
            return False
        try:
            return bool(call())
        except Exception:
            _log.exception("a request's sink raised; the request is dropped")
            self.outcome = Outcome.CANCELLED
            return False


def _even_chunks(seeds: tuple[int, ...], most: int) -> list[tuple[int, ...]]:
    """As few chunks as possible of at most `most`, their sizes at most one apart: a lone straggler fills no batch."""
    count = -(-len(seeds) // most)
    size, larger = divmod(len(seeds), count)
    ends = [(at + 1) * size + min(at + 1, larger) for at in range(count)]
    return [seeds[start:end] for start, end in zip([0, *ends], ends, strict=False)]
