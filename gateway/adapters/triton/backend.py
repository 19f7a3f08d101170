"""Triton as the InferenceBackend."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

import numpy as np
from tritonclient.grpc.aio import InferenceServerClient

from families.batching import MAX_BATCH
from families.manifest import Component, ModelManifest, triton_model_name
from families.tensors import Array, NamedTensor
from gateway.adapters.batching import split
from gateway.adapters.triton.errors import translated
from gateway.adapters.triton.stream import responses
from gateway.adapters.triton.wire import infer_input, job_inputs, read_event, read_output
from gateway.domain.backend import Denoised, DenoiseEvent, DenoiseJob, Latents, Pixels, TokenIds
from gateway.domain.errors import BackendError
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


class TritonBackend:
    """One channel, opened at the first call; it reconnects by itself whenever Triton comes back."""

    def __init__(self, address: str, models: Iterable[ModelManifest], settings: BackendSettings) -> None:
        """`address` is host:port of Triton's gRPC endpoint."""
        self._address = address
        self._models = {manifest.name: manifest for manifest in models}
        self._settings = settings
        self._opened: InferenceServerClient | None = None

    @property
    def _client(self) -> InferenceServerClient:
        # Not in the constructor: gRPC ties a channel to the event loop that is running when it is made.
        if self._opened is None:
            self._opened = InferenceServerClient(self._address, channel_args=_CHANNEL_OPTIONS)
        return self._opened

    async def ready(self) -> bool:
        """See InferenceBackend; False also when Triton cannot be reached."""
        names = [triton_model_name(model, component) for model in self._models for component in Component]
        try:
            with translated():
                answers = await asyncio.gather(
                    *(self._client.is_model_ready(name, client_timeout=_PROBE_TIMEOUT) for name in names)
                )
        except BackendError as error:
            logger.debug("Triton is not ready: %s", error)
            return False
        return all(answers)

    async def encode_text(self, model: str, ids: TokenIds, *, deterministic: bool) -> tuple[NamedTensor, ...]:
        """See InferenceBackend."""
        names = self._models[model].text_encoder.outputs
        arrays = await self._infer(model, Component.TEXT_ENCODER, ids, deterministic)
        return tuple(NamedTensor(spec.name, array) for spec, array in zip(names, arrays, strict=True))

    async def decode(self, model: str, latents: Latents, *, deterministic: bool) -> Pixels:
        """See InferenceBackend."""
        (pixels,) = await self._infer(model, Component.VAE_DECODER, latents, deterministic)
        return pixels.astype(np.uint8, copy=False)

    async def denoise(self, job: DenoiseJob) -> AsyncGenerator[DenoiseEvent, None]:
        """See InferenceBackend."""
        inputs = job_inputs(job, self._models[job.model].denoiser.inputs[2:])
        name = triton_model_name(job.model, Component.DENOISER)
        complete = asyncio.Event()
        stream = responses(
            self._client, name, inputs, complete=complete, probe_seconds=_SILENCE_SECONDS, alive=self._alive
        )
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

    async def close(self) -> None:
        """See InferenceBackend."""
        if self._opened is not None:
            await self._opened.close()

    async def _infer(self, model: str, component: Component, rows: Array, deterministic: bool) -> list[Array]:
        """One array for each output of a component that batches by itself in Triton."""
        signature = self._models[model].signature(component)
        (spec,) = signature.inputs
        name = triton_model_name(model, component)

        async def call(chunk: Array, count: int) -> list[Array]:
            with translated():
                result = await self._client.infer(
                    name, [infer_input(spec, chunk)], client_timeout=self._settings.call_timeout
                )
            return [read_output(result, output)[:count] for output in signature.outputs]

        chunks = split(rows, MAX_BATCH[component], deterministic=deterministic)
        answers = await asyncio.gather(*(call(chunk, count) for chunk, count in chunks))
        return [np.concatenate(same) if len(same) > 1 else same[0] for same in zip(*answers, strict=True)]

    async def _alive(self) -> bool:
        try:
            with translated():
                return bool(await self._client.is_server_live(client_timeout=_PROBE_TIMEOUT))
        except BackendError:
            return False
