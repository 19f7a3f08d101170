"""One denoising request on a stream of its own, so that its errors and its cancellation are nobody else's."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from tritonclient.grpc import InferInput, InferResult
from tritonclient.grpc.aio import InferenceServerClient

from gateway.adapters.triton.errors import translated, unavailable

_END_SECONDS = 5.0


async def responses(
    client: InferenceServerClient,
    model_name: str,
    inputs: list[InferInput],
    *,
    model_version: str,
    complete: asyncio.Event,
    probe_seconds: float,
    alive: Callable[[], Awaitable[bool]],
) -> AsyncGenerator[InferResult, None]:
    """The stream's responses until the server ends it. Closing the generator cancels the request, unless its reader has
    set `complete`: the last response was there, and the stream ends by itself.

    Our side stays open until then. Triton 2.51 often keeps a request whose stream was half closed and then cancelled
    beside others, and waits for it when it is told to stop.

    A request may wait in the server's queue for as long as the gateway allows, so silence alone is no failure: after
    `probe_seconds` of it `alive` is asked, and only a server that does not answer is given up. Raises BackendError.
    """
    with translated():
        stream = client.stream_infer(_one(model_name, model_version, inputs, complete))
        try:
            while True:
                try:
                    result, error = await _next(stream, probe_seconds, alive)
                except StopAsyncIteration:
                    return
                if error is not None:
                    raise error
                yield result
        finally:
            if complete.is_set():
                _let_end(stream)
            else:
                complete.set()
                stream.cancel()


async def _next(stream: Any, probe_seconds: float, alive: Callable[[], Awaitable[bool]]) -> Any:
    # A task, because cancelling the read itself would cancel the call.
    reading = asyncio.ensure_future(anext(stream))
    try:
        while not (await asyncio.wait({reading}, timeout=probe_seconds))[0]:
            if not await alive():
                raise unavailable(f"silent for {probe_seconds:g} s and not alive")
        return reading.result()
    finally:
        if not reading.done():
            reading.cancel()


async def _one(
    model_name: str, model_version: str, inputs: list[InferInput], complete: asyncio.Event
) -> AsyncIterator[dict[str, object]]:
    """The client's protocol: an iterator of requests as mappings; ours has one, and closes our side when it ends."""
    yield {"model_name": model_name, "model_version": model_version, "inputs": inputs}
    await complete.wait()


_ending: set[asyncio.Task[None]] = set()
"""Keeps streams alive until the server has ended them: a call that is dropped before cancels itself."""


def _let_end(stream: Any) -> None:
    async def read_on() -> None:
        with suppress(Exception):
            async with asyncio.timeout(_END_SECONDS):
                async for _ in stream:
                    pass

    task = asyncio.ensure_future(read_on())
    _ending.add(task)
    task.add_done_callback(_ending.discard)
