"""One published model opened in this process: its step engine, text encoder and decoder."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from engine.components import run_batch
from engine.open import open_component, read_manifest
from engine.request import DenoiseRequest, NamedCondition
from engine.runtimes import Runtime
from engine.settings import RuntimeSettings, StepSettings
from engine.step.open import open_step_engine
from families.batching import MAX_BATCH
from families.manifest import Component
from families.repository import version_folder
from families.tensors import Array
from gateway.adapters.inprocess.errors import backend_error
from gateway.adapters.inprocess.events import EventBridge
from gateway.domain.backend import DenoiseJob


class OpenModel:
    """Blocking to make, quick to use: everything heavy runs on threads of its own."""

    def __init__(self, repository: Path, model: str, runtime: str, threads: int) -> None:
        """Raises RuntimeUnavailableError when the published files or the runtime cannot be used."""
        settings = RuntimeSettings(threads=threads)
        folder = version_folder(repository, model, Component.DENOISER)
        self.manifest = read_manifest(folder)
        self._stateless = {
            component: _Stateless(
                open_component(version_folder(repository, model, component), component, runtime, settings),
                MAX_BATCH[component],
                f"{model}.{component.value}",
            )
            for component in (Component.TEXT_ENCODER, Component.VAE_DECODER)
        }
        self._engine = open_step_engine(folder, runtime, StepSettings(runtime=settings))

    async def run(self, component: Component, rows: Array, *, deterministic: bool) -> tuple[Array, ...]:
        """Outputs of the text encoder or the decoder for these rows. Raises BackendError."""
        try:
            return await self._stateless[component].run(rows, deterministic=deterministic)
        except Exception as error:
            raise backend_error(error) from error

    def submit(self, job: DenoiseJob, bridge: EventBridge) -> None:
        """Hand the job to the engine. Raises BackendError when it is not taken."""
        conditions = tuple(
            NamedCondition(tensor.name, torch.from_numpy(tensor.array.copy())) for tensor in job.conditions
        )
        request = DenoiseRequest(
            conditions=conditions,
            seeds=job.seeds,
            steps=job.steps,
            guidance_scale=job.guidance_scale,
            scheduler=job.scheduler,
            latent_height=job.latent_height,
            latent_width=job.latent_width,
            priority=job.priority,
            deterministic=job.deterministic,
            preview_steps=job.preview_steps,
        )
        try:
            self._engine.submit(request, bridge)
        except Exception as error:
            raise backend_error(error) from error

    def close(self) -> None:
        """Fail what is in flight and end the threads. Blocks for at most a step."""
        self._engine.close()
        for component in self._stateless.values():
            component.close()


class _Stateless:
    """A component without state between calls, on one thread: a runtime serves one at a time."""

    def __init__(self, runtime: Runtime, max_batch: int, name: str) -> None:
        self._runtime = runtime
        self._max_batch = max_batch
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, rows: Array, *, deterministic: bool) -> tuple[Array, ...]:
        def call() -> tuple[Array, ...]:
            return run_batch(self._runtime, [rows], max_batch=self._max_batch, deterministic=deterministic)

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
