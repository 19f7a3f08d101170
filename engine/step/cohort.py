"""Images of one request that ride together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from engine.samplers import Sampler
from engine.step.image import Image
from engine.step.plan import Candidate

if TYPE_CHECKING:  # a flight holds its cohorts
    from engine.step.flight import Flight


class Cohort:
    """Images of one request which ride in the same batches, and so are always at the same call.

    Of these, a call evaluates those that `ride`; the step caches of the others know its answer.
    """

    def __init__(self, number: int, flight: Flight, seeds: tuple[int, ...]) -> None:
        self.number = number
        self.flight = flight
        self._seeds = seeds
        self._images: tuple[Image, ...] = ()
        self._riding = tuple(range(len(seeds)))

    @property
    def images(self) -> int:
        """Images of this cohort."""
        return len(self._seeds)

    @property
    def rows_per_image(self) -> int:
        """Rows that each image takes in the next call."""
        return self.flight.rows_of_calls[self.calls_done]

    @property
    def rows(self) -> int:
        """Rows this cohort takes in the next call's batch; 0 when it needs none, or has none to come."""
        return len(self._riding) * self.rows_per_image if self._riding else 0

    @property
    def rows_left(self) -> int:
        """Rows of all calls to come, if no step cache saves any."""
        return self.images * self.flight.rows_to_come[self.calls_done]

    @property
    def usual_rows(self) -> int:
        """Rows of a call, taken over all calls, rounded up."""
        return -(-self.images * self.flight.rows_to_come[0] // self.flight.calls)

    @property
    def started(self) -> bool:
        """Whether it has latents already."""
        return bool(self._images)

    @property
    def calls_done(self) -> int:
        """Denoiser calls behind it."""
        return self._images[0].sampler.calls_done if self._images else 0

    @property
    def calls_left(self) -> int:
        """Denoiser calls still to come."""
        return self.flight.calls - self.calls_done

    @property
    def steps_done(self) -> int:
        """Steps done, as users count them."""
        return self._images[0].sampler.steps_done if self._images else 0

    @property
    def latents(self) -> torch.Tensor:
        """[images, C, h, w]."""
        return torch.cat([image.sampler.latents for image in self._images])

    @property
    def skipping(self) -> int:
        """Images that do without the denoiser in the next call."""
        return self.images - len(self._riding)

    def riders(self, device: torch.device) -> tuple[Sampler, ...]:
        """Samplers of the images that ride in the next call.

        They are made when the first call is due, so waiting requests hold no latents.
        """
        if not self._images:
            flight = self.flight
            self._images = tuple(
                Image(
                    Sampler(
                        flight.schedule,
                        seed,
                        flight.bucket.latent_shape,
                        device,
                        noise_patch=flight.noise_patch,
                        frames=flight.frames,
                        start=flight.request.start,
                    ),
                    flight.request.step_cache,
                )
                for seed in self._seeds
            )
        return tuple(self._images[at].sampler for at in self._riding)

    def predictions(self, evaluated: torch.Tensor | None) -> list[torch.Tensor]:
        """Each image's prediction [1, C, h, w] for the next call; `evaluated`: the riders', None where none rides."""
        answers: dict[int, torch.Tensor] = {}
        if evaluated is not None:
            answers = dict(zip(self._riding, torch.split(evaluated, 1), strict=True))
        return [image.prediction(answers.get(at), self.rows_per_image) for at, image in enumerate(self._images)]

    def estimates(self, predictions: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The denoised estimate [1, C, h, w] of each image; ask before `step`."""
        return [image.sampler.estimate(p) for image, p in zip(self._images, predictions, strict=True)]

    def step(self, predictions: Sequence[torch.Tensor]) -> None:
        """Advance every image by one call, and see who needs the next one."""
        for image, prediction in zip(self._images, predictions, strict=True):
            image.sampler.step(prediction)
        self._riding = ()
        if self.calls_left:
            rows = self.rows_per_image
            self._riding = tuple(at for at, image in enumerate(self._images) if not image.skips(rows))

    def candidate(self, number: int) -> Candidate:
        """What the planner must know; `number` is the planner's for this cohort."""
        flight = self.flight
        return Candidate(
            cohort=number,
            arrival=flight.arrival,
            bucket=flight.bucket,
            rows=self.rows,
            calls=flight.calls,
            calls_left=max(cohort.calls_left for cohort in flight.cohorts),
            lag=self.calls_left,
            cohorts=len(flight.cohorts),
            priority=flight.request.priority,
            usual_rows=self.usual_rows,
        )
