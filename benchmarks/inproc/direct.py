"""The step engine called directly: what the stack would cost if HTTP, gRPC and Triton were free.

Same published artefacts, runtime and thread counts as the served stack; text encoder and VAE are batched dynamically.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from PIL import Image

from benchmarks.figures import StepCounters
from benchmarks.inproc.job import CountingDrawer, run
from benchmarks.inproc.micro_batch import MicroBatcher
from benchmarks.inproc.sink import FutureSink
from benchmarks.load import DrawError
from benchmarks.peers.wire import encode
from benchmarks.workload import PictureRequest, Workload
from engine.open import open_component
from engine.request import DenoiseRequest, NamedCondition
from engine.settings import RuntimeSettings, StepSettings
from engine.step import StepEngine, open_step_engine
from families.batching import MAX_BATCH
from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.repository import version_folder
from gateway.pipelines.prompts import PromptTokenizer

_RUNTIME = "onnxruntime"
_MOST_USERS = 16


@dataclass(frozen=True, slots=True)
class _Parts:
    source: ModelSource
    tokenizer: PromptTokenizer
    text_encoder: MicroBatcher
    engine: StepEngine
    decoder: MicroBatcher
    threads: ThreadPoolExecutor


class DirectDrawer(CountingDrawer):
    """A picture by function calls."""

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        (tokens,) = parts.tokenizer.empty.tokens
        self._negative = torch.from_numpy(parts.text_encoder.run(tokens.array))

    async def draw(self, request: PictureRequest) -> None:
        """On a thread of the pool."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._parts.threads, self._draw, request)
        except Exception as error:
            raise DrawError(str(error)) from error

    def counters(self) -> StepCounters:
        """The engine's own."""
        metrics = self._parts.engine.metrics()
        return StepCounters(steps=metrics.ticks, rows=metrics.rows)

    def _draw(self, request: PictureRequest) -> None:
        parts, manifest = self._parts, self._parts.source.manifest
        positive = torch.from_numpy(
            parts.text_encoder.run(parts.tokenizer.encode(request.prompt).pieces[0].tokens[0].array)
        )
        context = torch.cat([self._negative, positive]) if request.guidance_scale > 1 else positive
        sink = FutureSink()
        parts.engine.submit(
            DenoiseRequest(
                conditions=(NamedCondition(manifest.given[0].name, context),),
                seeds=(request.seed,),
                steps=request.steps,
                guidance_scale=request.guidance_scale,
                scheduler=request.scheduler,
                latent_height=request.height // manifest.latent.downscale,
                latent_width=request.width // manifest.latent.downscale,
            ),
            sink,
        )
        pixels = parts.decoder.run(sink.latents.result().numpy())
        encode(Image.fromarray(pixels[0]))


@contextmanager
def open_drawer(workload: Workload) -> Iterator[DirectDrawer]:
    """Open the published components."""
    source = load_source(workload.model_folder)

    def batcher(component: Component) -> MicroBatcher:
        folder = version_folder(workload.repository, workload.model, component)
        return MicroBatcher(open_component(folder, component, _RUNTIME, RuntimeSettings()), MAX_BATCH[component])

    denoiser = version_folder(workload.repository, workload.model, Component.DENOISER)
    parts = _Parts(
        source=source,
        tokenizer=PromptTokenizer(source.tokenizer_files, source.manifest.prompts),
        text_encoder=batcher(Component.TEXT_ENCODER),
        engine=open_step_engine(denoiser, _RUNTIME, StepSettings()),
        decoder=batcher(Component.VAE_DECODER),
        threads=ThreadPoolExecutor(_MOST_USERS),
    )
    try:
        yield DirectDrawer(parts)
    finally:
        parts.threads.shutdown()
        parts.engine.close()
        parts.text_encoder.close()
        parts.decoder.close()


if __name__ == "__main__":
    run(open_drawer)
