"""All captions at once on the step engine, as its clients would be there at once."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.inproc.sink import FutureSink
from benchmarks.quantisation.scores import Pictures
from benchmarks.workload import Workload
from engine.components import run_batch
from engine.open import open_component
from engine.request import DenoiseRequest, NamedCondition
from engine.runtimes import Runtime
from engine.settings import RuntimeSettings, StepSettings
from engine.step import StepEngine, open_step_engine
from families.batching import MAX_BATCH
from families.catalog import load_source
from families.manifest import Component, ModelManifest
from families.repository import version_folder
from gateway.pipelines.prompts import PromptTokenizer

_RUNTIME = "onnxruntime"


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pictures in the captions' order. The denoiser was asked for an image `evaluations` times, `saved` times not."""

    pictures: Pictures
    seconds: float
    evaluations: int
    saved: int


class Crowd:
    """One image a caption; a caption's number is its seed."""

    def __init__(
        self, workload: Workload, manifest: ModelManifest, engine: StepEngine, decoder: Runtime, contexts: torch.Tensor
    ) -> None:
        """`contexts` [1 + captions, ...]: the empty prompt's first."""
        self._workload, self._manifest, self._engine, self._decoder = workload, manifest, engine, decoder
        self._contexts = contexts

    def draw(self, steps: int, threshold: float | None) -> Drawn:
        """Seconds are the step engine's, from the first request to the last latents."""
        requests = [self._request(at, steps, threshold) for at in range(len(self._contexts) - 1)]
        before, started = self._engine.metrics(), time.perf_counter()
        sinks = [FutureSink() for _ in requests]
        for request, sink in zip(requests, sinks, strict=True):
            self._engine.submit(request, sink)
        latents = torch.cat([sink.latents.result() for sink in sinks])
        seconds, after = time.perf_counter() - started, self._engine.metrics()
        saved = after.skipped - before.skipped
        pictures = run_batch(self._decoder, [latents.numpy()], max_batch=MAX_BATCH[Component.VAE_DECODER])[0]
        return Drawn(np.asarray(pictures, np.uint8), seconds, steps * len(requests) - saved, saved)

    def _request(self, number: int, steps: int, threshold: float | None) -> DenoiseRequest:
        workload, latent = self._workload, self._manifest.latent
        context = self._contexts[[0, number + 1]]
        return DenoiseRequest(
            conditions=(NamedCondition(self._manifest.given[0].name, context),),
            seeds=(number,),
            steps=steps,
            guidance_scale=workload.guidance_scale,
            scheduler=workload.scheduler,
            latent_height=workload.height // latent.downscale,
            latent_width=workload.width // latent.downscale,
            step_cache=threshold,
        )


@contextmanager
def open_crowd(workload: Workload, captions: Sequence[str]) -> Iterator[Crowd]:
    """The published model with the captions' conditions. Raises RuntimeUnavailableError."""
    source = load_source(workload.model_folder)

    def component(which: Component) -> Runtime:
        folder = version_folder(workload.repository, workload.model, which)
        return open_component(folder, which, _RUNTIME, RuntimeSettings())

    tokenizer = PromptTokenizer(source.tokenizer_files, source.manifest.prompts)
    ids = np.concatenate([tokenizer.encode(text).pieces[0].tokens[0].array for text in ("", *captions)])
    encoder = component(Component.TEXT_ENCODER)
    contexts = run_batch(encoder, [ids], max_batch=MAX_BATCH[Component.TEXT_ENCODER])[0]
    denoiser = version_folder(workload.repository, workload.model, Component.DENOISER)
    engine = open_step_engine(denoiser, _RUNTIME, StepSettings())
    try:
        yield Crowd(workload, source.manifest, engine, component(Component.VAE_DECODER), torch.from_numpy(contexts))
    finally:
        engine.close()
