"""One run of a layered model: a picture becomes layers at the size that the model works at."""

import asyncio
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from families.manifest import LayerRule
from families.picture_size import of_area
from families.tensors import NamedTensor
from gateway.domain.backend import DenoiseJob, InferenceBackend, Latents, Release
from gateway.domain.layering import LayersWish
from gateway.domain.layers import Sheet
from gateway.domain.pictures import GenerateListener, Picture, PictureSize
from gateway.domain.telemetry import Stage, Telemetry
from gateway.pipelines.conditions import prompt_conditions
from gateway.pipelines.drawing import preview_steps
from gateway.pipelines.embedding_cache import EmbeddingCache
from gateway.pipelines.frame import resize, size_of
from gateway.pipelines.imaging import encode_sheet
from gateway.pipelines.models import ServedModel
from gateway.pipelines.previews import with_previews
from gateway.pipelines.prompts import TokenizedPrompt
from gateway.pipelines.sampling import Sampling
from gateway.pipelines.together import together

Drawn = npt.NDArray[np.uint8]
"""[layers, height, width, 4], bottom to top."""


@dataclass(frozen=True, slots=True)
class Separation:
    """What the model is given. `prompts`: the caption, or what the picture does not show and the caption under
    guidance. `listener` None: nobody is told.
    """

    model: ServedModel
    rule: LayerRule
    wish: LayersWish
    prompts: tuple[TokenizedPrompt, ...]
    source: Sheet
    layers: int
    listener: GenerateListener | None

    @property
    def drawn(self) -> PictureSize:
        """What the model works at."""
        return drawn_size(size_of(self.source), self.wish.resolution, self.rule)

    def job(self, release: Release, conditions: tuple[NamedTensor, ...], picture: Latents) -> DenoiseJob:
        """`picture`: the source's latents by this release."""
        wish, size = self.wish, self.drawn
        rows, columns = self.model.manifest.latent_size(size.height, size.width, self.layers)
        return DenoiseJob(
            release=release,
            conditions=conditions,
            seeds=(wish.seed,),
            steps=wish.steps,
            guidance_scale=wish.guidance_scale,
            scheduler=wish.scheduler,
            latent_height=rows,
            latent_width=columns,
            deterministic=wish.deterministic,
            preview_steps=() if self.listener is None else preview_steps(wish.partial_images, wish.steps),
            references=(picture,),
            progress=self.listener is not None,
        )

    def frames(self, latents: Latents) -> Latents:
        """The layers' own, [layers, C, rows, columns]. The first frame, the picture as a whole, is nobody's layer."""
        channels, rows, columns = latents.shape[1:]
        frames = 1 + self.layers
        return np.ascontiguousarray(latents[0].reshape(channels, frames, rows // frames, columns).swapaxes(0, 1)[1:])


def drawn_size(size: PictureSize, resolution: int, rule: LayerRule) -> PictureSize:
    """Of a picture of this size."""
    return PictureSize(*of_area(size.width, size.height, resolution**2, rule.multiple))


class LayersDraw:
    """Holds no state between runs."""

    def __init__(self, backend: InferenceBackend, embeddings: EmbeddingCache, telemetry: Telemetry) -> None:
        self._backend = backend
        self._embeddings = embeddings
        self._sampling = Sampling(backend, telemetry)

    async def draw(self, separation: Separation) -> Drawn:
        """Inside of the caller's permit and deadline. Raises BackendError."""
        return await self._sampling.released(
            separation.model.manifest.name, lambda release: self._draw(separation, release)
        )

    async def _draw(self, separation: Separation, release: Release) -> Drawn:
        async def render(latents: Latents) -> tuple[Picture, ...]:
            return await _pictures(separation, await self._decode(separation, release, latents))

        deterministic = separation.wish.deterministic
        with self._sampling.timed(Stage.TEXT_ENCODE):
            conditions = await prompt_conditions(
                self._embeddings, separation.model, release, separation.prompts, deterministic=deterministic
            )
        with self._sampling.timed(Stage.VAE_ENCODE):
            pixels = await asyncio.to_thread(resize, separation.source, separation.drawn)
            picture = await self._backend.encode_image(release, pixels[None], deterministic=deterministic)
        job = separation.job(release, conditions, picture)
        latents = await with_previews(self._sampling, job, render, separation.listener)
        return await self._decode(separation, release, latents)

    async def _decode(self, separation: Separation, release: Release, latents: Latents) -> Drawn:
        with self._sampling.timed(Stage.DECODE):
            return await self._backend.decode(
                release, separation.frames(latents), deterministic=separation.wish.deterministic
            )


async def _pictures(separation: Separation, drawn: Drawn) -> tuple[Picture, ...]:
    """Of every layer one, at the size that the model works at."""
    wish = separation.wish
    files = await together(*(asyncio.to_thread(encode_sheet, sheet, wish.format) for sheet in drawn))
    return tuple(Picture(index, wish.seed, data, separation.drawn) for index, data in enumerate(files))
