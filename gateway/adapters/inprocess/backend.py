"""The step engine as the InferenceBackend. torch is imported when the models are opened, not before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from families.manifest import Component
from families.tensors import NamedTensor
from families.vision.source import VisionSource
from gateway.domain.backend import Denoised, DenoiseEvent, DenoiseJob, Latents, Lora, Pixels, Release, Tokens
from gateway.domain.errors import BackendUnavailable
from gateway.settings import BackendSettings, HardwareSettings

if TYPE_CHECKING:
    from gateway.adapters.inprocess.model import OpenModel
    from gateway.adapters.inprocess.vision import OpenVision

_RETRY_SECONDS = 5


class InProcessBackend:
    """Not ready until `open` has ended; calls before that raise BackendUnavailable."""

    def __init__(
        self,
        repository: Path,
        models: Iterable[str],
        settings: BackendSettings,
        hardware: HardwareSettings | None = None,
        vision: Iterable[VisionSource] = (),
    ) -> None:
        """`repository` is the published one; `models` are names in it, and `vision` is published there too."""
        self._repository = repository
        self._names = tuple(models)
        self._settings = settings
        self._hardware = hardware or HardwareSettings()
        self._models: dict[str, OpenModel] = {}
        self._vision = {source.name: source for source in vision}
        self._seeing: dict[str, OpenVision] = {}
        self._ready = False

    @property
    def models(self) -> Mapping[str, OpenModel]:
        """Of every model what is open of it; nothing before `open` or `prepare`."""
        return self._models

    async def open(self) -> None:
        """Load every model, beside the event loop. Raises the engine's RuntimeUnavailableError naming the file."""
        await asyncio.to_thread(self._open_all)
        self._ready = True

    async def prepare(self) -> None:
        """Read what the models are and load vision alone: whoever has `models` loads them. Raises as `open`."""
        await asyncio.to_thread(self._read_all)
        self._ready = True

    async def ready(self) -> bool:
        """See InferenceBackend."""
        return self._ready

    async def release(self, model: str) -> Release:
        """See InferenceBackend; the same until the process ends."""
        return Release(model, self._opened(model).version)

    async def encode_text(
        self, release: Release, tokens: Tokens, *, deterministic: bool, loras: tuple[Lora, ...] = ()
    ) -> tuple[NamedTensor, ...]:
        """See InferenceBackend."""
        opened = self._opened(release.model)
        rows = [tensor.array for tensor in tokens]
        arrays = await opened.run(Component.TEXT_ENCODER, rows, deterministic=deterministic, loras=loras)
        outputs = opened.manifest.text_encoder.outputs
        return tuple(NamedTensor(spec.name, array) for spec, array in zip(outputs, arrays, strict=True))

    async def encode_image(self, release: Release, pixels: Pixels, *, deterministic: bool) -> Latents:
        """See InferenceBackend."""
        opened = self._opened(release.model)
        (latents,) = await opened.run(Component.VAE_ENCODER, [pixels], deterministic=deterministic)
        return latents.astype(np.float32, copy=False)

    async def denoise(self, job: DenoiseJob) -> AsyncGenerator[DenoiseEvent, None]:
        """See InferenceBackend."""
        from gateway.adapters.inprocess.events import EventBridge  # noqa: PLC0415 - imports torch

        opened = self._opened(job.release.model)
        bridge = EventBridge(asyncio.get_running_loop(), progress=job.progress)
        try:
            if job.loras:
                await asyncio.to_thread(opened.submit, job, bridge)  # which may have files to read
            else:
                opened.submit(job, bridge)
            while True:
                event = await bridge.next()
                yield event
                if isinstance(event, Denoised):
                    return
        finally:
            bridge.cancel()

    async def decode(self, release: Release, latents: Latents, *, deterministic: bool) -> Pixels:
        """See InferenceBackend."""
        opened = self._opened(release.model)
        (pixels,) = await opened.run(Component.VAE_DECODER, [latents], deterministic=deterministic)
        return pixels.astype(np.uint8, copy=False)

    async def look(self, model: str, pixels: Pixels, *, deterministic: bool) -> tuple[NamedTensor, ...]:
        """See InferenceBackend."""
        self._check_ready()
        return await self._seeing[model].look(pixels, deterministic=deterministic)

    async def close(self) -> None:
        """See InferenceBackend."""
        self._ready = False
        models, self._models = self._models, {}
        seeing, self._seeing = self._seeing, {}
        for model in models.values():
            await asyncio.to_thread(model.end)
        for looker in seeing.values():
            await asyncio.to_thread(looker.end)

    def _read_all(self) -> None:
        from gateway.adapters.inprocess.model import OpenModel, runtime_settings  # noqa: PLC0415 - imports torch
        from gateway.adapters.inprocess.vision import OpenVision  # noqa: PLC0415

        for name in self._names:
            self._models[name] = OpenModel(self._repository, name, self._settings, self._hardware)
        for name, source in self._vision.items():
            self._seeing[name] = OpenVision(self._repository, source, runtime_settings(self._settings, self._hardware))

    def _open_all(self) -> None:
        self._read_all()
        for model in self._models.values():
            for component in model.manifest.components:
                model.open(component)

    def _opened(self, model: str) -> OpenModel:
        self._check_ready()
        return self._models[model]

    def _check_ready(self) -> None:
        if not self._ready:
            raise BackendUnavailable("the models are being loaded; retry shortly", retry_after=_RETRY_SECONDS)
