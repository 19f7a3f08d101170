"""Draws from pictures with all of the stack but its HTTP, as diffusers' pipelines do that begin from one."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.domain.backend import DenoiseEvent, DenoiseJob, InferenceBackend, Pixels, Start
from tests.support.whole import Wanted, Whole


@dataclass(frozen=True)
class Beginning:
    """What is drawn, of which strength, and whether cells are kept."""

    wanted: Wanted
    strength: float
    masked: bool

    @property
    def name(self) -> str:
        return f"{self.wanted.name}, strength {self.strength:g}, {'inpainting' if self.masked else 'image to image'}"

    def cells(self, side: int) -> tuple[int, int]:
        """Rows and columns of cells of so many pixels."""
        return self.wanted.height // side, self.wanted.width // side


class FromPicture:
    """A backend whose jobs begin from a picture."""

    def __init__(self, backend: InferenceBackend, start: Start) -> None:
        self._backend, self._start = backend, start

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def denoise(self, job: DenoiseJob) -> AsyncGenerator[DenoiseEvent, None]:
        return self._backend.denoise(replace(job, start=self._start))


async def draw_from(
    whole: Whole, wanted: Wanted, picture: Pixels, strength: float, mask: npt.NDArray[np.float32] | None
) -> Pixels:
    """Pixels [n, H, W, 3] from `picture` [H, W, 3]; `mask` as `Start` has it."""
    release = await whole.backend.release(whole.model.manifest.name)
    latents = await whole.backend.encode_image(release, picture[None], deterministic=False)
    begun: Any = replace(whole, backend=FromPicture(whole.backend, Start(latents, strength, mask)))  # type: ignore[arg-type]
    drawn: Pixels = await begun.draw(wanted)
    return drawn


def mask_picture(mask: npt.NDArray[np.float32], side: int) -> Image.Image:
    """A mask as diffusers takes it, white where it is 1; every cell has `side` x `side` pixels."""
    return Image.fromarray(np.kron(mask, np.full((side, side), 255)).astype(np.uint8))
