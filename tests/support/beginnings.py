"""Draws from pictures with all of the stack but its HTTP, as diffusers' pipelines do that begin from one."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from gateway.domain.backend import DenoiseEvent, DenoiseJob, InferenceBackend, Pixels, Start
from tests.support.whole import Wanted, Whole

Mask = npt.NDArray[np.float32]
CELL = 8
"""Pixels along a side of a cell of the autoencoder's latents, and of most families' masks."""


@dataclass(frozen=True)
class Beginning:
    """What is drawn, of which strength, and whether cells are kept."""

    wanted: Wanted
    strength: float
    masked: bool

    @property
    def name(self) -> str:
        return f"{self.wanted.name}, strength {self.strength:g}, {'inpainting' if self.masked else 'image to image'}"

    def cells(self, side: int = CELL) -> tuple[int, int]:
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


async def draw_from(whole: Whole, wanted: Wanted, picture: Pixels, strength: float, mask: Mask | None) -> Pixels:
    """Pixels [n, H, W, 3] from `picture` [H, W, 3]; `mask` as `Start` has it."""
    release = await whole.backend.release(whole.model.manifest.name)
    latents = await whole.backend.encode_image(release, picture[None], deterministic=False)
    begun: Any = replace(whole, backend=FromPicture(whole.backend, Start(latents, strength, mask)))  # type: ignore[arg-type]
    drawn: Pixels = await begun.draw(wanted)
    return drawn


def picture_of(cells: tuple[int, int]) -> Image.Image:
    """A picture with shapes and colours, of so many rows and columns of 8 pixels."""
    chance = np.random.default_rng(cells[0] * 100 + cells[1])
    small = Image.fromarray(chance.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return small.resize((cells[1] * CELL, cells[0] * CELL), Image.Resampling.BICUBIC)


def mask_of(cells: tuple[int, int]) -> Mask:
    """A corner and a lone cell are drawn anew."""
    mask = np.zeros(cells, dtype=np.float32)
    mask[: cells[0] // 2, cells[1] // 3 :] = 1
    mask[-1, 0] = 1
    return mask


def mask_picture(mask: Mask, side: int = CELL) -> Image.Image:
    """A mask as diffusers takes it, white where it is 1; every cell has `side` x `side` pixels."""
    return Image.fromarray(np.kron(mask, np.full((side, side), 255)).astype(np.uint8))


@contextmanager
def of_the_mode(*modules: ModuleType) -> Iterator[None]:
    """diffusers samples the posterior, which draws from the noise's generator too; the stack takes its mode."""
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            patch.setattr(module, "retrieve_latents", partial(module.retrieve_latents, sample_mode="argmax"))
        yield
