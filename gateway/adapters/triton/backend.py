"""Triton as the InferenceBackend."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

import numpy as np
from tritonclient.grpc.aio import InferenceServerClient

from families.batching import MAX_BATCH
from families.chunks import split
from families.manifest import Component, ModelManifest, triton_model_name
from families.tensors import Array, ComponentSignature, NamedTensor
from families.vision.signature import MAX_BATCH as VISION_BATCH
from families.vision.signature import signature
from families.vision.source import VisionSource
from gateway.adapters.triton.errors import translated
from gateway.adapters.triton.releases import Releases
from gateway.adapters.triton.stream import responses
from gateway.adapters.triton.wire import infer_input, job_inputs, lora_inputs, read_event, read_output
from gateway.domain.backend import Denoised, DenoiseEvent, DenoiseJob, Latents, Lora, Pixels, Release, Tokens
from gateway.domain.errors import BackendError, ReleaseGone
from gateway.settings import BackendSettings

logger = logging.getLogger(__name__)

_UNLIMITED = 2**31 - 1
_CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", _UNLIMITED),
    ("grpc.max_receive_message_length", _UNLIMITED),
    # gRPC's own backoff grows to two minutes; a restarted Triton would stay unreachable for that long.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A proxy from the environment has no business between the gateway and its Triton.
    ("grpc.enable_http_proxy", 0),
)
_PROBE_TIMEOUT = 2.0
_SILENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Callee:
    """A Triton model that batches by itself; without a version, the one that it serves."""

    name: str
    border: ComponentSignature
    max_batch: int
    version: str = ""


class TritonBackend:
    """One channel, opened at the first call; it reconnects by itself whenever Triton comes back."""

    def __init__(
        self,
        address: str,
        models: Iterable[ModelManifest],
        settings: BackendSettings,
        vision: Iterable[VisionSource] = (),
    ) -> None:
        """`address` is host:port of Triton's gRPC endpoint."""
        self._address = address
        self._models = {manifest.name: manifest for manifest in models}
        self._vision = {source.name: source for source in vision}
        self._settings = settings
        self._opened: InferenceServerClient | None = None
        self._releases = Releases(
            lambda: self.client,
            {name: manifest.components for name, manifest in self._models.items()},
            settings.call_timeout,
        )

    @property
    def client(self) -> InferenceServerClient:
        """The connection, of the event loop that runs."""
        # Not in the constructor: gRPC ties a channel to the event loop that is running when it is made.
        if self._opened is None:
            self._opened = InferenceServerClient(self._address, channel_args=_CHANNEL_OPTIONS)
        return self._opened

    async def ready(self) -> bool:
        """See InferenceBackend; False also when Triton cannot be reached."""
        names = [
            triton_model_name(model, component)
            for model, manifest in self._models.items()
            for component in manifest.components
        ]
        names += [source.triton_name for source in self._vision.values()]
        try:
            with translated():
                answers = await asyncio.gather(
                    *(self.client.is_model_ready(name, client_timeout=_PROBE_TIMEOUT) for name in names)
                )
        except BackendError as error:
            logger.debug("Triton is not ready: %s", error)
            return False
        return all(answers)

    async def release(self, model: str) -> Release:
        """See InferenceBackend."""
        return await self._releases.newest(model)

    async def encode_text(
        self, release: Release, tokens: Tokens, *, deterministic: bool, loras: tuple[Lora, ...] = ()
    ) -> tuple[NamedTensor, ...]:
        """See InferenceBackend."""
        names = self._models[release.model].text_encoder.outputs
        rows = [tensor.array for tensor in tokens]
        arrays = await self._infer(release, Component.TEXT_ENCODER, rows, deterministic, loras)
        return tuple(NamedTensor(spec.name, array) for spec, array in zip(names, arrays, strict=True))

    async def encode_image(self, release: Release, pixels: Pixels, *, deterministic: bool) -> Latents:
        """See InferenceBackend."""
        (latents,) = await self._infer(release, Component.VAE_ENCODER, [pixels], deterministic)
        return latents.astype(np.float32, copy=False)

    async def decode(self, release: Release, latents: Latents, *, deterministic: bool) -> Pixels:
        """See InferenceBackend."""
        (pixels,) = await self._infer(release, Component.VAE_DECODER, [latents], deterministic)
        return pixels.astype(np.uint8, copy=False)

    async def denoise(self, job: DenoiseJob) -> AsyncGenerator[DenoiseEvent, None]:
        """See InferenceBackend."""
        release = job.release
        inputs = job_inputs(job, self._models[release.model].given)
        name = triton_model_name(release.model, Component.DENOISER)
        complete = asyncio.Event()
        stream = responses(
            self.client,
            name,
            inputs,
            model_version=release.version,
            complete=complete,
            probe_seconds=_SILENCE_SECONDS,
            alive=self._alive,
        )
        with self._noting_gone(release):
            async with aclosing(stream) as results:
                async for result in results:
                    try:
                        event = read_event(result)
                    except BackendError:
                        complete.set()
                        raise
                    if isinstance(event, Denoised):
                        complete.set()
                    yield event

    async def look(self, model: str, pixels: Pixels, *, deterministic: bool) -> tuple[NamedTensor, ...]:
        """See InferenceBackend."""
        source = self._vision[model]
        border = signature(source.manifest)
        answers = await self._call(_Callee(source.triton_name, border, VISION_BATCH), [pixels], deterministic)
        return tuple(NamedTensor(spec.name, array) for spec, array in zip(border.outputs, answers, strict=True))

    async def close(self) -> None:
        """See InferenceBackend."""
        await self._releases.close()
        if self._opened is not None:
            await self._opened.close()

    async def _infer(
        self,
        release: Release,
        component: Component,
        rows: Sequence[Array],
        deterministic: bool,
        loras: tuple[Lora, ...] = (),
    ) -> list[Array]:
        """One array for each output of a component that batches by itself in Triton; `rows`: one for each input."""
        callee = _Callee(
            triton_model_name(release.model, component),
            self._models[release.model].signature(component),
            MAX_BATCH[component],
            release.version,
        )
        with self._noting_gone(release):
            return await self._call(callee, rows, deterministic, loras)

    async def _call(
        self, callee: _Callee, rows: Sequence[Array], deterministic: bool, loras: tuple[Lora, ...] = ()
    ) -> list[Array]:
        async def call(chunk: Sequence[tuple[Array, int]]) -> list[Array]:
            part, count = chunk[0]
            inputs = [infer_input(spec, array) for spec, (array, _) in zip(callee.border.inputs, chunk, strict=True)]
            inputs += lora_inputs(loras, len(part))
            with translated():
                result = await self.client.infer(
                    callee.name,
                    inputs,
                    model_version=callee.version,
                    client_timeout=self._settings.call_timeout,
                )
            return [read_output(result, output)[:count] for output in callee.border.outputs]

        columns = [split(array, callee.max_batch, deterministic=deterministic) for array in rows]
        answers = await asyncio.gather(*(call(chunk) for chunk in zip(*columns, strict=True)))
        return [np.concatenate(same) if len(same) > 1 else same[0] for same in zip(*answers, strict=True)]

    @contextmanager
    def _noting_gone(self, release: Release) -> Iterator[None]:
        try:
            yield
        except ReleaseGone:
            self._releases.forget(release)
            raise

    async def _alive(self) -> bool:
        try:
            with translated():
                return bool(await self.client.is_server_live(client_timeout=_PROBE_TIMEOUT))
        except BackendError:
            return False
