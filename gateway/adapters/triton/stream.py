"""One denoising request on a stream of its own, so that its errors and its cancellation are nobody else's."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from tritonclient.grpc import InferInput, InferResult
from tritonclient.grpc.aio import InferenceServerClient

from gateway.adapters.triton.errors import translated, unavailable


async def responses(
    client: InferenceServerClient,
    model_name: str,
    inputs: list[InferInput],
    *,
    probe_seconds: float,
    alive: Callable[[], Awaitable[bool]],
) -> AsyncGenerator[InferResult, None]:
    """The stream's responses until the server ends it. Closing the generator cancels the request.

    A request may wait in the server's queue for as long as the gateway allows, so silence alone is no failure: after
    `probe_seconds` of it `alive` is asked, and only a server that does not answer is given up. Raises BackendError.
    """
    with translated():
        stream = client.stream_infer(_one(model_name, inputs))
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


async def _one(model_name: str, inputs: list[InferInput]) -> AsyncIterator[dict[str, object]]:
    """The client's protocol: an iterator of requests as mappings; ours has one."""
    yield {"model_name": model_name, "inputs": inputs}
