"""The Triton adapter against the real server: events, errors, cancellation, death and return."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import httpx
import numpy as np
import pytest

from families.catalog import load_source
from families.manifest import ModelManifest
from families.tensors import NamedTensor
from gateway.adapters.triton import TritonBackend
from gateway.domain.backend import Denoised, DenoiseEvent, DenoiseJob, Preview, StepDone
from gateway.domain.errors import BackendFailed, BackendRejected, BackendUnavailable, QueueFull
from gateway.settings import BackendSettings
from tests.gateway.model_folder import write_model_folder
from tests.gateway.triton_models import write_repository
from triptych.triton import RestartPolicy, TritonSettings, TritonSupervisor, locate, prepare

pytestmark = pytest.mark.triton

QUICK = RestartPolicy(startup_deadline_s=60, poll_s=0.2, backoff_s=0.1, unresponsive_after_s=30)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> ModelManifest:
    return load_source(write_model_folder(tmp_path_factory.mktemp("models") / "wardrobe")).manifest


@pytest.fixture(scope="module")
async def triton(manifest: ModelManifest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TritonSupervisor]:
    root: Path = tmp_path_factory.mktemp("triton")
    models = write_repository(root / "repository", manifest)
    settings = TritonSettings(model_repository=root / "repository", models=models, exit_timeout_s=3)
    async with TritonSupervisor(prepare(locate(), root / "cache"), settings, root / "triton.log", QUICK) as running:
        yield running


@pytest.fixture()
async def backend(triton: TritonSupervisor, manifest: ModelManifest) -> AsyncIterator[TritonBackend]:
    backend = TritonBackend(triton.endpoints.grpc, [manifest], BackendSettings())
    yield backend
    await backend.close()


def job(manifest: ModelManifest, steps: int = 4, scale: float = 7.5, previews: tuple[int, ...] = ()) -> DenoiseJob:
    length, width = manifest.denoiser.inputs[2].dims
    assert isinstance(length, int) and isinstance(width, int)
    context = NamedTensor("context", np.zeros((2, length, width), np.float32))
    return DenoiseJob(
        "wardrobe", (context,), (5, 6), steps, scale, "euler", 8, 4, preview_steps=previews, progress=True
    )


async def collect(backend: TritonBackend, work: DenoiseJob) -> list[DenoiseEvent]:
    return [event async for event in backend.denoise(work)]


async def cancelled_count(triton: TritonSupervisor) -> float:
    async with httpx.AsyncClient() as http:
        text = (await http.get(triton.endpoints.metrics)).text
    match = re.search(r"^fake_cancelled_total\{.*\} (\S+)$", text, re.MULTILINE)
    return float(match[1]) if match else 0


async def test_ready(backend: TritonBackend, manifest: ModelManifest) -> None:
    assert await backend.ready()
    nowhere = TritonBackend("127.0.0.1:9", [manifest], BackendSettings())
    assert not await nowhere.ready()
    with pytest.raises(BackendUnavailable) as caught:
        await collect(nowhere, job(manifest))
    assert caught.value.retry_after
    assert "127.0.0.1" not in caught.value.message
    await nowhere.close()


async def test_events_of_a_job(backend: TritonBackend, manifest: ModelManifest) -> None:
    events = await collect(backend, job(manifest, steps=4, previews=(2,)))
    assert [type(event) for event in events] == [StepDone, Preview, StepDone, Denoised]
    assert isinstance(events[1], Preview) and isinstance(events[3], Denoised)
    assert events[1].latents.shape == (2, 4, 8, 4)
    assert events[1].latents[:, 0, 0, 0].tolist() == [7, 8]
    assert events[3].latents[:, 0, 0, 0].tolist() == [9, 10]


@pytest.mark.parametrize("rows", [1, 2, 16, 19])
@pytest.mark.parametrize("deterministic", [False, True])
async def test_text_is_chunked_and_padded(
    backend: TritonBackend, manifest: ModelManifest, rows: int, deterministic: bool
) -> None:
    ids = np.arange(rows * manifest.prompt.length, dtype=np.int64).reshape(rows, -1)
    (context,) = await backend.encode_text("wardrobe", ids, deterministic=deterministic)
    assert context.name == "context"
    assert (context.array[:, :, 1] == ids).all()
    if deterministic:
        assert (context.array[:, :, 0] == 16).all()


async def test_decode(backend: TritonBackend) -> None:
    latents = np.arange(6, dtype=np.float32)[:, None, None, None] * np.ones((6, 4, 3, 2), np.float32)
    for deterministic in (False, True):
        pixels = await backend.decode("wardrobe", latents, deterministic=deterministic)
        assert pixels.shape == (6, 24, 16, 3) and pixels.dtype == np.uint8
        assert pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]


async def test_errors_are_translated(backend: TritonBackend, manifest: ModelManifest) -> None:
    with pytest.raises(QueueFull):
        await collect(backend, job(manifest, scale=13))
    with pytest.raises(BackendRejected, match="no such scheduler"):
        await collect(backend, job(manifest, scale=14))
    with pytest.raises(BackendFailed, match="out of memory"):
        await collect(backend, job(manifest, scale=15))
    with pytest.raises(BackendRejected):
        await backend.encode_text("wardrobe", np.zeros((1, 3), np.int64), deterministic=False)
    assert len(await collect(backend, job(manifest))) == 4


async def test_closing_or_cancelling_stops_the_work(
    backend: TritonBackend, manifest: ModelManifest, triton: TritonSupervisor
) -> None:
    before = await cancelled_count(triton)
    async with aclosing(backend.denoise(job(manifest, steps=500))) as events:
        assert isinstance(await anext(events), StepDone)
    waiting = asyncio.ensure_future(collect(backend, job(manifest, steps=500)))
    await asyncio.sleep(0.2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    deadline = time.monotonic() + 2
    while await cancelled_count(triton) < before + 2:
        assert time.monotonic() < deadline, "the server still works for nobody"
        await asyncio.sleep(0.02)


async def test_death_fails_all_in_flight_at_once_and_it_comes_back(
    backend: TritonBackend, manifest: ModelManifest, triton: TritonSupervisor
) -> None:
    load = [asyncio.ensure_future(collect(backend, job(manifest, steps=1000))) for _ in range(8)]
    await asyncio.sleep(0.3)
    assert triton.status.pid
    os.kill(triton.status.pid, signal.SIGKILL)
    killed = time.monotonic()
    results = await asyncio.gather(*load, return_exceptions=True)
    assert [type(result) for result in results] == [BackendUnavailable] * 8
    assert time.monotonic() - killed < 8
    with pytest.raises(BackendUnavailable):
        await backend.encode_text("wardrobe", np.zeros((1, manifest.prompt.length), np.int64), deterministic=False)
    await triton.wait_ready(60)
    deadline = time.monotonic() + 5
    while not await backend.ready():
        assert time.monotonic() < deadline, "it did not reconnect"
        await asyncio.sleep(0.05)
    assert len(await collect(backend, job(manifest))) == 4


async def test_a_server_that_hangs_is_given_up(
    backend: TritonBackend, manifest: ModelManifest, triton: TritonSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.triton.backend._SILENCE_SECONDS", 0.3)
    monkeypatch.setattr("gateway.adapters.triton.backend._PROBE_TIMEOUT", 0.3)
    load = asyncio.ensure_future(collect(backend, job(manifest, steps=1000)))
    await asyncio.sleep(0.3)
    assert triton.status.pid
    os.kill(triton.status.pid, signal.SIGSTOP)
    try:
        with pytest.raises(BackendUnavailable):
            async with asyncio.timeout(5):
                await load
    finally:
        os.kill(triton.status.pid, signal.SIGCONT)
    assert len(await collect(backend, job(manifest))) == 4
