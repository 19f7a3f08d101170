"""A request in flight: its cohorts of images and what it has told its sink."""

import logging
from collections.abc import Callable, Iterable
from enum import Enum
from itertools import accumulate

import torch

from engine.request import DenoiseRequest, DenoiseSink
from engine.samplers import Schedule
from engine.step.bucket import Bucket
from engine.step.cohort import Cohort

_log = logging.getLogger(__name__)


class Outcome(Enum):
    """How a request ended."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


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
        conditions: tuple[torch.Tensor, ...],
        rows_of_calls: tuple[int, ...],
        images_per_cohort: int,
        noise_patch: int = 1,
        frames: int = 1,
    ) -> None:
        """`conditions`: one image's, each [rows, ...], in the denoiser's order; a call with fewer rows takes the last.

        `rows_of_calls`: rows that an image takes in each call of the schedule. `frames`: see `Sampler`.
        """
        self.arrival = arrival
        self.request = request
        self.schedule = schedule
        self.bucket = bucket
        self.conditions = conditions
        self.noise_patch = noise_patch
        self.frames = frames
        self.rows_of_calls = rows_of_calls
        # Rows that an image takes from each call on; 0 after the last.
        self.rows_to_come = (*accumulate(reversed(rows_of_calls), initial=0),)[::-1]
        self.outcome: Outcome | None = None
        self._sink = sink
        self._reported = 0
        self._previews: dict[int, dict[int, torch.Tensor]] = {}
        self.cohorts = tuple(
            Cohort(at, self, chunk) for at, chunk in enumerate(_even_chunks(request.seeds, images_per_cohort))
        )

    @property
    def calls(self) -> int:
        """Denoiser calls of each image, from first to last."""
        return len(self.schedule.timesteps)

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
