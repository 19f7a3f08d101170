"""What goes into the step engine and what comes out."""

from dataclasses import dataclass
from typing import Protocol

import torch

from families.lora.use import LoraUse


@dataclass(frozen=True, slots=True)
class NamedCondition:
    """A denoiser condition [1 or 2, ...]: positive alone, or negative then positive."""

    name: str
    tensor: torch.Tensor


@dataclass(frozen=True, slots=True)
class LatentStart:
    """Begin from a picture: `latents` [1, C, h, w] float32, of which `strength` (0, 1] of the steps are done.

    `mask` [h * p, w * p] float32, p the family's noise patch: 1 where cells are drawn anew; cells at 0 keep the
    picture. None: all are drawn anew.
    """

    latents: torch.Tensor
    strength: float
    mask: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class References:
    """Latent cells of reference pictures [R, C] float32, row by row, and each picture's (height, width) in cells."""

    cells: torch.Tensor
    sizes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class DenoiseRequest:
    """n images of one prompt, `seeds` one an image. Image i's noise is drawn on the CPU from seeds[i] alone.

    `conditions` are those that the text encoder gave. `guidance_interval`: guidance holds from the first to the second
    of these shares of the steps. `step_cache`: the threshold under which a step reuses the last evaluation; None: off.
    """

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
    start: LatentStart | None = None
    references: References | None = None
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    step_cache: float | None = None
    loras: tuple[LoraUse, ...] = ()


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
