"""`python -m benchmarks.response_cache`: is Triton's response cache worth it beside the gateway's embedding cache?

Milliseconds (median) of one prompt's text encoding: new, repeated with Triton's cache, repeated with the gateway's;
written to `benchmarks/results/response-cache.md`.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from benchmarks.machine import fingerprint
from export.publishing.options import PublishOptions
from export.publishing.prepare import prepare_model
from families.catalog import load_source
from families.embedded import embedded_models
from families.manifest import Component, triton_model_name
from families.tensors import NamedTensor
from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.adapters.triton import TritonBackend
from gateway.domain.backend import Release, Tokens
from gateway.pipelines.embedding_cache import EmbeddingCache
from gateway.settings import BackendSettings
from triptych.triton import TritonSettings, TritonSupervisor, locate, prepare

_CALLS = 200
_CACHE_BYTES = 64 << 20
_RUNTIME = Path("runtime")
_RESULT = Path(__file__).parent / "results" / "response-cache.md"


async def measure() -> dict[str, float]:
    """Median milliseconds by what was done."""
    source = load_source(embedded_models() / "wardrobe")
    name, length = source.manifest.name, source.manifest.prompts[0].length
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "models"
        prepare_model(source, _RUNTIME, repository, PublishOptions(response_cache=True))
        settings = TritonSettings(
            model_repository=repository,
            models=(triton_model_name(name, Component.TEXT_ENCODER),),
            response_cache_bytes=_CACHE_BYTES,
        )
        async with TritonSupervisor(prepare(locate()), settings, Path(folder) / "triton.log") as triton:
            backend = TritonBackend(triton.endpoints.grpc, [source.manifest], BackendSettings())
            own = EmbeddingCache(backend, _CACHE_BYTES, PrometheusTelemetry())
            release = Release(name, "1")

            def prompt(number: int) -> Tokens:
                ids = np.zeros((1, length), np.int64)
                ids[0, 1:3] = divmod(number, 100)
                return (NamedTensor("input_ids", ids),)

            async def encode(tokens: Tokens) -> None:
                await backend.encode_text(release, tokens, deterministic=False)

            async def through_the_gateway(tokens: Tokens) -> None:
                await own.conditions(release, [tokens], deterministic=False)

            await through_the_gateway(prompt(0))
            figures = {
                "new": await _median(encode, [prompt(number + 1) for number in range(_CALLS)]),
                "repeated, Triton's cache": await _median(encode, [prompt(0)] * _CALLS),
                "repeated, the gateway's": await _median(through_the_gateway, [prompt(0)] * _CALLS),
            }
            await own.close()
            await backend.close()
            return figures


async def _median(call: Callable[[Tokens], Awaitable[None]], prompts: list[Tokens]) -> float:
    seconds = []
    for ids in prompts:
        began = time.perf_counter()
        await call(ids)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1e3


def main() -> None:
    """Measure, tell and keep."""
    figures = asyncio.run(measure())
    rows = "\n".join(f"| {what} | {milliseconds:.3f} ms |" for what, milliseconds in figures.items())
    machine = fingerprint()
    text = f"{machine.cpu}, {machine.cores} cores, medians of {_CALLS} prompts, one at a time.\n\n"
    text += f"| a prompt | its embedding after |\n| --- | ---: |\n{rows}\n"
    _RESULT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
