"""What goes into the step engine and what comes out."""

from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True, slots=True)
class NamedCondition:
    """A denoiser condition [1 or 2, ...]: positive alone, or negative then positive."""

    name: str
    tensor: torch.Tensor


@dataclass(frozen=True, slots=True)
class DenoiseRequest:
    """n images of one prompt, `seeds` one an image. Image i's noise is drawn on the CPU from seeds[i] alone."""

    conditions: tuple[NamedCondition, ...]
    seeds: tuple[int, ...]
    steps: int
    guidance_scale: float
    scheduler: str
    latent_height: int
    latent_width: int
    priority: int = 0
    deterministic: bool = False
    preview_steps: tuple[int, ...] = ()


class DenoiseSink(Protocol):
    """Where the engine sends one request's events; called on the engine's thread, must not block.

    Exactly one of `finished` or `failed` ends a request, unless `cancelled` answered True: then neither is called.
    """

    def progress(self, step: int) -> None:
        """`step` steps are done for every image of the request."""

    def preview(self, step: int, latents: torch.Tensor) -> None:
        """The denoised estimate [n, C, h, w] float32 after `step` steps."""

    def finished(self, latents: torch.Tensor) -> None:
        """The final latents [n, C, h, w] float32."""

    def failed(self, error: Exception) -> None:
        """The request ended with this error."""

    def cancelled(self) -> bool:
        """Whether the client went away; polled before every step."""
        ...
