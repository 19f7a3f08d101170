"""The one narrow port to inference. Adapters: Triton over gRPC, and the step engine in this process."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from families.tensors import NamedTensor

Latents = npt.NDArray[np.float32]
"""[images, channels, latent height, latent width]."""
Pixels = npt.NDArray[np.uint8]
"""[images, height, width, 3], sRGB; 4 with straight alpha where a model takes pictures apart."""
Tokens = tuple[NamedTensor, ...]
"""The text encoder's inputs, one row a prompt."""


@dataclass(frozen=True, slots=True)
class Release:
    """One published state of a model. Its components understand each other; those of two releases may not."""

    model: str
    version: str


@dataclass(frozen=True, slots=True)
class Start:
    """Begin from a picture: `latents` [1, C, h, w], of which `strength` (0, 1] of the steps are done.

    `mask` [h * p, w * p] float32, p the family's noise patch, is 1 where cells are drawn anew; None: all are.
    """

    latents: Latents
    strength: float
    mask: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Lora:
    """An adapter of the model by its name, and how strongly it acts."""

    name: str
    scale: float


@dataclass(frozen=True, slots=True)
class DenoiseJob:
    """n images of one prompt. Conditions lead with an axis of 1 (positive) or 2 (negative, positive) and are of the
    job's own release.

    `references`: latents [1, C, h, w] of each reference picture. `guidance_interval`: guidance holds from the first to
    the second of these shares of the steps. `step_cache`: threshold under which a step reuses the last evaluation.
    """

    release: Release
    conditions: tuple[NamedTensor, ...]
    seeds: tuple[int, ...]
    steps: int
    guidance_scale: float
    scheduler: str
    latent_height: int
    latent_width: int
    priority: int = 0
    deterministic: bool = False
    preview_steps: tuple[int, ...] = ()
    start: Start | None = None
    references: tuple[Latents, ...] = ()
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    step_cache: float | None = None
    loras: tuple[Lora, ...] = ()
    progress: bool = False
    """Whether `StepDone` events are wanted; they are not free."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """`step` of the job's steps are done for every image. The first is told at once, later ones in passing."""

    step: int


@dataclass(frozen=True, slots=True)
class Preview:
    """The denoised estimate after `step` steps."""

    step: int
    latents: Latents


@dataclass(frozen=True, slots=True)
class Denoised:
    """The finished latents; the last event of a job."""

    latents: Latents


DenoiseEvent = StepDone | Preview | Denoised


class InferenceBackend(Protocol):
    """Runs a model's components. Every method may raise the BackendError family of `gateway.domain.errors`.

    What belongs to one picture names one release throughout; ReleaseGone says to begin again with the present one.
    """

    async def ready(self) -> bool:
        """Whether every component of every model can take work now."""
        ...

    async def release(self, model: str) -> Release:
        """The newest release of the model that every component serves."""
        ...

    async def encode_text(
        self, release: Release, tokens: Tokens, *, deterministic: bool, loras: tuple[Lora, ...] = ()
    ) -> tuple[NamedTensor, ...]:
        """The denoiser's conditions, one row a prompt; `loras` are those that change the text encoder."""
        ...

    async def encode_image(self, release: Release, pixels: Pixels, *, deterministic: bool) -> Latents:
        """Latents of pictures, as the sampler wants them; sides are multiples of what the model asks for."""
        ...

    def denoise(self, job: DenoiseJob) -> AsyncGenerator[DenoiseEvent, None]:
        """Events until `Denoised`. `aclose()` before that cancels the job within one step; so does cancelling the task
        that waits for the next event."""
        ...

    async def decode(self, release: Release, latents: Latents, *, deterministic: bool) -> Pixels:
        """Pixels of finished or preview latents."""
        ...

    async def look(self, model: str, pixels: Pixels, *, deterministic: bool) -> tuple[NamedTensor, ...]:
        """What a vision model sees, as `families.vision.signature` says; sides are such as its manifest allows."""
        ...

    async def close(self) -> None:
        """Free connections and threads; no call may follow."""
        ...
