"""Draws with all of the stack but its HTTP: the gateway's prompts, every component and the step engine, in-process."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from families.catalog import ModelSource
from gateway.adapters.inprocess import InProcessBackend
from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.domain.backend import Denoised, DenoiseJob, Latents, Lora, Pixels, Release
from gateway.pipelines.conditions import prompt_conditions
from gateway.pipelines.embedding_cache import EmbeddingCache
from gateway.pipelines.lora import text_loras
from gateway.pipelines.models import ModelLibrary, ServedModel
from gateway.pipelines.prompts import ShownPictures, show
from gateway.pipelines.references import reference_pixels
from gateway.settings import BackendSettings
from tests.support.parity import measured
from tests.support.published import publish

_SETTINGS = BackendSettings(kind="inprocess", runtime="torch", threads=1)
_CACHE_BYTES = 1 << 24


@dataclass(frozen=True)
class Wanted:
    """Pictures that are asked for. `references`: uint8 [H, W, 3] each, scaled as the gateway scales them.

    `layers`: the one reference, RGBA of the very size, is taken apart into so many.
    """

    prompt: str
    width: int
    height: int
    seeds: tuple[int, ...] = (7,)
    steps: int = 3
    guidance: float = 1.0
    negative: str = ""
    references: tuple[Pixels, ...] = ()
    scheduler: str | None = None
    """None: the one that the model recommends."""
    loras: tuple[Lora, ...] = ()
    layers: int = 0

    @property
    def name(self) -> str:
        words = len(self.prompt.split())
        pictures = f", {len(self.references)} references" if self.references and not self.layers else ""
        if self.layers:
            pictures = f", {self.layers} layers"
        by = f", {self.scheduler}" if self.scheduler else ""
        return f"{self.width}x{self.height}, {len(self.seeds)}, guidance {self.guidance:g}, {words} words{pictures}{by}"


@dataclass(frozen=True)
class Whole:
    """One model, opened."""

    backend: InProcessBackend
    model: ServedModel
    embeddings: EmbeddingCache

    async def draw(self, wanted: Wanted) -> Pixels:
        """Pixels [n, H, W, 3]; layers [n * layers, H, W, 4], bottom to top."""
        name, cell = self.model.manifest.name, self.model.manifest.latent.downscale
        release = await self.backend.release(name)
        guided = self.model.manifest.guided and wanted.guidance > 1
        texts = (wanted.negative, wanted.prompt) if guided else (wanted.prompt,)
        shown = self._shown(wanted.references)
        prompts = [self.model.tokenizer.encode(text, shown) for text in texts]
        job = DenoiseJob(
            release=release,
            conditions=await prompt_conditions(
                self.embeddings,
                self.model,
                release,
                prompts,
                deterministic=False,
                loras=text_loras(wanted.loras, self.model),
            ),
            seeds=wanted.seeds,
            steps=wanted.steps,
            guidance_scale=wanted.guidance,
            scheduler=wanted.scheduler or self.model.manifest.defaults.scheduler,
            latent_height=wanted.height // cell * (wanted.layers + 1),
            latent_width=wanted.width // cell,
            references=await self._encoded(release, wanted),
            loras=wanted.loras,
        )
        async with aclosing(self.backend.denoise(job)) as events:
            async for event in events:
                if isinstance(event, Denoised):
                    latents = _layers(event.latents, wanted.layers) if wanted.layers else event.latents
                    return await self.backend.decode(release, latents, deterministic=False)
        raise AssertionError("the denoiser's events ended without latents")

    def _shown(self, pictures: Sequence[Pixels]) -> ShownPictures | None:
        rule = self.model.manifest.prompts[0].pictures
        return None if rule is None else show(pictures, rule)

    async def _encoded(self, release: Release, wanted: Wanted) -> tuple[Latents, ...]:
        rule, size = self.model.manifest.references, self.model.manifest.size
        scaled: Sequence[Pixels] = wanted.references
        if not wanted.layers:
            scaled = [] if rule is None else [reference_pixels(picture, rule, size) for picture in wanted.references]
        return tuple(
            [await self.backend.encode_image(release, picture[None], deterministic=False) for picture in scaled]
        )


def _layers(latents: Latents, layers: int) -> Latents:
    """[n, C, (layers + 1) * h, w] as pictures of their own, without the first frame."""
    images, channels, height, width = latents.shape
    frames = latents.reshape(images, channels, layers + 1, height // (layers + 1), width).swapaxes(1, 2)[:, 1:]
    return np.ascontiguousarray(frames.reshape(-1, *frames.shape[2:]))


@asynccontextmanager
async def open_whole(source: ModelSource, repository: Path) -> AsyncIterator[Whole]:
    """Publishes the model's weights into `repository` and opens it on the torch runtime."""
    for component in source.manifest.components:
        publish(source, repository, component, onnx=False)
    name = source.manifest.name
    backend = InProcessBackend(repository, [name], _SETTINGS)
    await backend.open()
    embeddings = EmbeddingCache(backend, _CACHE_BYTES, PrometheusTelemetry())
    try:
        yield Whole(backend, ModelLibrary({name: source}, None).find(name), embeddings)
    finally:
        await embeddings.close()
        await backend.close()


def worst(ours: Pixels, theirs: Sequence[Image.Image] | Sequence[Pixels]) -> int:
    """The largest difference in any byte. The reference must not be flat: that would prove nothing."""
    reference = np.stack([np.asarray(picture) for picture in theirs])
    assert ours.shape == reference.shape and ours.dtype == reference.dtype == np.uint8
    assert reference.std() > 1
    return measured(int(np.abs(ours.astype(np.int16) - reference).max()))
