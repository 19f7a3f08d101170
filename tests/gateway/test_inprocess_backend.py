"""The in-process adapter over the real engine and a tiny random model."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest

from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.tensors import NamedTensor
from gateway.adapters.inprocess import InProcessBackend
from gateway.domain.backend import Denoised, DenoiseJob, Preview, Release, StepDone, Tokens
from gateway.domain.errors import BackendRejected, BackendUnavailable
from gateway.settings import BackendSettings
from tests.support.published import publish
from tests.support.tiny_model import write_tiny_model

RELEASE = Release("tiny", "1")


def tokens(ids: np.ndarray) -> Tokens:
    return (NamedTensor("input_ids", ids),)


SETTINGS = BackendSettings(kind="inprocess", runtime="torch", threads=1)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    return load_source(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
async def backend(source: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcessBackend]:
    repository = tmp_path_factory.mktemp("repository")
    for component in Component:
        publish(source, repository, component, onnx=False)
    backend = InProcessBackend(repository, ["tiny"], SETTINGS)
    assert not await backend.ready()
    with pytest.raises(BackendUnavailable):
        await backend.encode_text(RELEASE, tokens(np.zeros((1, 16), np.int64)), deterministic=False)
    await backend.open()
    yield backend
    await backend.close()
    assert not await backend.ready()


async def job(backend: InProcessBackend, steps: int = 3, scheduler: str = "euler") -> DenoiseJob:
    ids = np.array([[0, 3, 1] + [2] * 13, [0, 4, 1] + [2] * 13])
    conditions = await backend.encode_text(RELEASE, tokens(ids), deterministic=True)
    return DenoiseJob(
        RELEASE, conditions, (1, 2), steps, 4.0, scheduler, 8, 8, deterministic=True, preview_steps=(1,), progress=True
    )


async def test_a_whole_generation(backend: InProcessBackend, source: ModelSource) -> None:
    assert await backend.ready()
    assert await backend.release("tiny") == RELEASE
    work = await job(backend)
    assert [(tensor.name, tensor.array.shape) for tensor in work.conditions] == [("context", (2, 16, 32))]
    runs = [[event async for event in backend.denoise(work)] for _ in range(2)]
    kinds = [type(event) for event in runs[0]]
    assert kinds[-1] is Denoised and Preview in kinds and set(kinds) <= {StepDone, Preview, Denoised}
    last, again = runs[0][-1], runs[1][-1]
    assert isinstance(last, Denoised) and isinstance(again, Denoised)
    assert last.latents.shape == (2, 4, 8, 8) and last.latents.dtype == np.float32
    assert last.latents.tobytes() == again.latents.tobytes()
    pixels = await backend.decode(RELEASE, last.latents, deterministic=True)
    side = 8 * source.manifest.latent.downscale
    assert pixels.shape == (2, side, side, 3) and pixels.dtype == np.uint8


async def test_closing_drops_the_work(backend: InProcessBackend) -> None:
    work = await job(backend, steps=150)
    async with aclosing(backend.denoise(work)) as events:
        await anext(events)
    begun = time.monotonic()
    waiting = asyncio.ensure_future(anext(backend.denoise(await job(backend, steps=2))))
    await waiting
    assert time.monotonic() - begun < 5


async def test_a_refused_job(backend: InProcessBackend) -> None:
    with pytest.raises(BackendRejected):
        await anext(backend.denoise(await job(backend, scheduler="nonesuch")))


def test_importing_the_adapter_loads_no_torch() -> None:
    import subprocess
    import sys

    code = "import gateway.adapters.inprocess, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
