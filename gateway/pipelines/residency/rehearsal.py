"""A call as large as the crowd can make it, of which nothing is kept but the memory that it took."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

import numpy as np

from families.batching import MAX_BATCH, MAX_ROWS
from families.manifest import Component
from families.tensors import Array, NamedTensor
from gateway.domain.backend import DenoiseJob, InferenceBackend, Latents, Lora, Pixels, Release, Tokens


class LargestCalls:
    """Each repeats the first row of a call as often as one batch may hold: what other requests may add to it."""

    def __init__(self, inner: InferenceBackend, release: Release) -> None:
        self._inner = inner
        self._release = release

    async def encode_text(self, tokens: Tokens, loras: tuple[Lora, ...]) -> None:
        """See InferenceBackend."""
        many = tuple(NamedTensor(part.name, _repeated(part.array, Component.TEXT_ENCODER)) for part in tokens)
        await self._inner.encode_text(self._release, many, deterministic=False, loras=loras)

    async def encode_image(self, pixels: Pixels) -> None:
        """See InferenceBackend."""
        many = _repeated(pixels, Component.VAE_ENCODER).astype(np.uint8, copy=False)
        await self._inner.encode_image(self._release, many, deterministic=False)

    async def denoise(self, job: DenoiseJob) -> None:
        """See InferenceBackend; ends after one step, in which the batch was full."""
        crowd = replace(job, seeds=tuple(range(MAX_ROWS)), deterministic=False, preview_steps=(), progress=True)
        async with aclosing(self._inner.denoise(crowd)) as events:
            await anext(events)

    async def decode(self, latents: Latents) -> None:
        """See InferenceBackend."""
        many = _repeated(latents, Component.VAE_DECODER).astype(np.float32, copy=False)
        await self._inner.decode(self._release, many, deterministic=False)


def cells_of(job: DenoiseJob) -> int:
    """Latent cells that one row of the job shows the denoiser, references included."""
    references = sum(picture.shape[2] * picture.shape[3] for picture in job.references)
    return job.latent_height * job.latent_width + references


def _repeated(array: Array, component: Component) -> Array:
    return np.repeat(array[:1], MAX_BATCH[component], axis=0)
