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
"""[images, height, width, 3], sRGB."""
TokenIds = npt.NDArray[np.int64]
"""[prompts, prompt length]."""


@dataclass(frozen=True, slots=True)
class DenoiseJob:
    """n images of one prompt. Conditions lead with an axis of 1 (positive) or 2 (negative, positive)."""

    model: str
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
    """Runs a model's components. Every method may raise the BackendError family of `gateway.domain.errors`."""

    async def ready(self) -> bool:
        """Whether every component of every model can take work now."""
        ...

    async def encode_text(self, model: str, ids: TokenIds, *, deterministic: bool) -> tuple[NamedTensor, ...]:
        """The denoiser's conditions, one row a prompt."""
        ...

    def denoise(self, job: DenoiseJob) -> AsyncGenerator[DenoiseEvent, None]:
        """Events until `Denoised`. `aclose()` before that cancels the job within one step; so does cancelling the task
        that waits for the next event."""
        ...

    async def decode(self, model: str, latents: Latents, *, deterministic: bool) -> Pixels:
        """Pixels of finished or preview latents."""
        ...

    async def close(self) -> None:
        """Free connections and threads; no call may follow."""
        ...
