"""The step engine as the InferenceBackend. torch is imported when the models are opened, not before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from families.manifest import Component
from families.tensors import NamedTensor
from gateway.domain.backend import Denoised, DenoiseEvent, DenoiseJob, Latents, Pixels, TokenIds
from gateway.domain.errors import BackendUnavailable
from gateway.settings import BackendSettings

if TYPE_CHECKING:
    from gateway.adapters.inprocess.model import OpenModel

_RETRY_SECONDS = 5


class InProcessBackend:
    """Not ready until `open` has ended; calls before that raise BackendUnavailable."""

    def __init__(self, repository: Path, models: Iterable[str], settings: BackendSettings) -> None:
        """`repository` is the published one; `models` are names in it."""
        self._repository = repository
        self._names = tuple(models)
        self._settings = settings
        self._models: dict[str, OpenModel] = {}
        self._ready = False

    async def open(self) -> None:
        """Load every model, beside the event loop. Raises the engine's RuntimeUnavailableError naming the file."""
        await asyncio.to_thread(self._open_all)
        self._ready = True

    async def ready(self) -> bool:
        """See InferenceBackend."""
        return self._ready

    async def encode_text(self, model: str, ids: TokenIds, *, deterministic: bool) -> tuple[NamedTensor, ...]:
        """See InferenceBackend."""
        opened = self._opened(model)
        arrays = await opened.run(Component.TEXT_ENCODER, ids, deterministic=deterministic)
        outputs = opened.manifest.text_encoder.outputs
        return tuple(NamedTensor(spec.name, array) for spec, array in zip(outputs, arrays, strict=True))

    async def denoise(self, job: DenoiseJob) -> AsyncGenerator[DenoiseEvent, None]:
        """See InferenceBackend."""
        from gateway.adapters.inprocess.events import EventBridge  # noqa: PLC0415 - imports torch

        opened = self._opened(job.model)
        bridge = EventBridge(asyncio.get_running_loop(), progress=job.progress)
        opened.submit(job, bridge)
        try:
            while True:
                event = await bridge.next()
                yield event
                if isinstance(event, Denoised):
                    return
        finally:
            bridge.cancel()

    async def decode(self, model: str, latents: Latents, *, deterministic: bool) -> Pixels:
        """See InferenceBackend."""
        (pixels,) = await self._opened(model).run(Component.VAE_DECODER, latents, deterministic=deterministic)
        return pixels.astype(np.uint8, copy=False)

    async def close(self) -> None:
        """See InferenceBackend."""
        self._ready = False
        models, self._models = self._models, {}
        for model in models.values():
            await asyncio.to_thread(model.close)

    def _open_all(self) -> None:
        from gateway.adapters.inprocess.model import OpenModel  # noqa: PLC0415 - imports torch

        for name in self._names:
            self._models[name] = OpenModel(self._repository, name, self._settings.runtime, self._settings.threads or 0)

    def _opened(self, model: str) -> OpenModel:
        if not self._ready:
            raise BackendUnavailable("the models are being loaded; retry shortly", retry_after=_RETRY_SECONDS)
        return self._models[model]
