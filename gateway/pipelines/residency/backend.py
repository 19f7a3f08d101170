"""An InferenceBackend whose models come into memory when they are asked for.

Every call leases the one component that it needs and gives it back at once: under a tight budget a text encoder leaves
before its denoiser comes in.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from families.manifest import Component
from families.tensors import NamedTensor
from gateway.domain.backend import DenoiseEvent, DenoiseJob, InferenceBackend, Latents, Lora, Pixels, Release, Tokens
from gateway.domain.errors import BackendUnavailable, MemoryBusy, ReleaseGone
from gateway.domain.residency import ComponentHost, ResidencySnapshot, Unit
from gateway.pipelines.residency.manager import ResidencyManager
from gateway.pipelines.residency.measuring import Rehearsal
from gateway.pipelines.residency.rehearsal import LargestCalls, cells_of

_RETRY_SECONDS = 5


class ResidentBackend:
    """`inner` runs what `manager` has brought into memory by way of `host`. Not ready until `open` has ended."""

    def __init__(self, inner: InferenceBackend, host: ComponentHost, manager: ResidencyManager) -> None:
        self._inner = inner
        self._host = host
        self._manager = manager
        self._ready = False

    async def open(self) -> None:
        """Take stock and load what is pinned. Raises BackendError."""
        await self._manager.open()
        self._ready = True

    async def ready(self) -> bool:
        """Whether models can be loaded; which ones are is nobody's condition."""
        return self._ready and await self._host.ready()

    async def release(self, model: str) -> Release:
        """See InferenceBackend. Raises InsufficientMemory where a component of the model can never fit."""
        if not self._ready:
            raise BackendUnavailable("the models are being prepared; retry shortly", retry_after=_RETRY_SECONDS)
        self._manager.check(model)
        return await self._host.release(model)

    async def encode_text(
        self, release: Release, tokens: Tokens, *, deterministic: bool, loras: tuple[Lora, ...] = ()
    ) -> tuple[NamedTensor, ...]:
        """See InferenceBackend."""
        largest = LargestCalls(self._inner, release)
        work = sum(tensor.array[0].size for tensor in tokens)
        async with self._using(release, Component.TEXT_ENCODER, work, lambda: largest.encode_text(tokens, loras)):
            return await self._inner.encode_text(release, tokens, deterministic=deterministic, loras=loras)

    async def encode_image(self, release: Release, pixels: Pixels, *, deterministic: bool) -> Latents:
        """See InferenceBackend."""
        largest = LargestCalls(self._inner, release)
        async with self._using(release, Component.VAE_ENCODER, pixels[0].size, lambda: largest.encode_image(pixels)):
            return await self._inner.encode_image(release, pixels, deterministic=deterministic)

    async def denoise(self, job: DenoiseJob) -> AsyncGenerator[DenoiseEvent, None]:
        """See InferenceBackend."""
        largest = LargestCalls(self._inner, job.release)
        async with (
            self._using(job.release, Component.DENOISER, cells_of(job), lambda: largest.denoise(job)),
            aclosing(self._inner.denoise(job)) as events,
        ):
            async for event in events:
                yield event

    async def decode(self, release: Release, latents: Latents, *, deterministic: bool) -> Pixels:
        """See InferenceBackend."""
        largest = LargestCalls(self._inner, release)
        async with self._using(release, Component.VAE_DECODER, latents[0].size, lambda: largest.decode(latents)):
            return await self._inner.decode(release, latents, deterministic=deterministic)

    async def look(self, model: str, pixels: Pixels, *, deterministic: bool) -> tuple[NamedTensor, ...]:
        """See InferenceBackend. Vision models are small: they are always in memory, and not counted."""
        if not self._ready:
            raise BackendUnavailable("the models are being prepared; retry shortly", retry_after=_RETRY_SECONDS)
        return await self._inner.look(model, pixels, deterministic=deterministic)

    def residency(self) -> ResidencySnapshot:
        """See TellsResidency."""
        return self._manager.snapshot()

    async def close(self) -> None:
        """See InferenceBackend."""
        self._ready = False
        await self._manager.close()
        await self._host.close()
        await self._inner.close()

    @asynccontextmanager
    async def _using(
        self, release: Release, component: Component, work: int, rehearsal: Rehearsal
    ) -> AsyncIterator[None]:
        """The component in memory. What was lost meanwhile, with Triton or to another release, is loaded anew for the
        next request; this one is told to try again.
        """
        unit = Unit(release.model, component)
        try:
            async with self._manager.lease(unit, work, rehearsal):
                yield
                await self._manager.remeasure(unit)
        except ReleaseGone:
            self._manager.renew(unit)
            raise
        except MemoryBusy:
            raise
        except BackendUnavailable:
            await self._manager.resync()
            raise
