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
from gateway.domain.backend import Denoised, DenoiseEvent, DenoiseJob, Preview, Release, StepDone, Tokens
from gateway.domain.errors import BackendFailed, BackendRejected, BackendUnavailable, QueueFull, ReleaseGone
from gateway.settings import BackendSettings
from tests.gateway.model_folder import write_model_folder
from tests.gateway.triton_models import write_repository
from triptych.triton import RestartPolicy, TritonSettings, TritonSupervisor, locate, prepare

pytestmark = [pytest.mark.triton, pytest.mark.timeout(900)]

RELEASE = Release("wardrobe", "1")


def tokens(ids: np.ndarray) -> Tokens:
    return (NamedTensor("input_ids", ids),)


def empty(manifest: ModelManifest) -> Tokens:
    return tokens(np.zeros((1, manifest.prompts[0].length), np.int64))


QUICK = RestartPolicy(startup_deadline_s=600, poll_s=0.2, backoff_s=0.1, unresponsive_after_s=30)


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


def job(
    manifest: ModelManifest,
    steps: int = 4,
    scale: float = 7.5,
    previews: tuple[int, ...] = (),
    release: Release = RELEASE,
) -> DenoiseJob:
    length, width = manifest.given[0].dims
    assert isinstance(length, int) and isinstance(width, int)
    context = NamedTensor("context", np.zeros((2, length, width), np.float32))
    return DenoiseJob(release, (context,), (5, 6), steps, scale, "euler", 8, 4, preview_steps=previews, progress=True)


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
    ids = np.arange(rows * manifest.prompts[0].length, dtype=np.int64).reshape(rows, -1)
    (context,) = await backend.encode_text(RELEASE, tokens(ids), deterministic=deterministic)
    assert context.name == "context"
    assert (context.array[:, :, 1] == ids).all()
    if deterministic:
        assert (context.array[:, :, 0] == 16).all()


async def test_decode(backend: TritonBackend, manifest: ModelManifest) -> None:
    cell = np.ones((6, manifest.latent.channels, 3, 2), np.float32)
    latents = np.arange(6, dtype=np.float32)[:, None, None, None] * cell
    for deterministic in (False, True):
        pixels = await backend.decode(RELEASE, latents, deterministic=deterministic)
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
        await backend.encode_text(RELEASE, tokens(np.zeros((1, 3), np.int64)), deterministic=False)
    assert len(await collect(backend, job(manifest))) == 4


async def test_a_release_that_is_not_served_is_told_apart(backend: TritonBackend, manifest: ModelManifest) -> None:
    assert await backend.release("wardrobe") == RELEASE
    gone = Release("wardrobe", "7")
    with pytest.raises(ReleaseGone):
        await collect(backend, job(manifest, release=gone))
    with pytest.raises(ReleaseGone):
        await backend.encode_text(gone, empty(manifest), deterministic=False)
    nowhere = TritonBackend("127.0.0.1:9", [manifest], BackendSettings())
    with pytest.raises(BackendUnavailable) as caught:
        await nowhere.release("wardrobe")
    assert not isinstance(caught.value, ReleaseGone)
    await nowhere.close()


async def test_closing_or_cancelling_stops_the_work(
    backend: TritonBackend, manifest: ModelManifest, triton: TritonSupervisor
) -> None:
    before = await cancelled_count(triton)
    async with aclosing(backend.denoise(job(manifest, steps=500))) as events:
        assert isinstance(await anext(events), StepDone)
    begun = asyncio.Event()

    async def hear() -> None:
        async for _ in backend.denoise(job(manifest, steps=500)):
            begun.set()

    waiting = asyncio.ensure_future(hear())
    await asyncio.wait_for(begun.wait(), 60)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    deadline = time.monotonic() + 10
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
    assert time.monotonic() - killed < 20
    with pytest.raises(BackendUnavailable):
        await backend.encode_text(RELEASE, empty(manifest), deterministic=False)
    await triton.wait_ready(600)
    deadline = time.monotonic() + 20
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
            async with asyncio.timeout(30):
                await load
    finally:
        os.kill(triton.status.pid, signal.SIGCONT)
    monkeypatch.undo()  # a server that has just woken may be slower than that
    assert len(await collect(backend, job(manifest))) == 4
