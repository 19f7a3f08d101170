"""A model is replaced while a real Triton serves it under load: no request fails, each is one release's throughout."""

import asyncio
import re
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import numpy_helper
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from export.artefacts.artefact import Artefact
from export.errors import SwapError
from export.publishing.live import SwapTimes, swap
from export.publishing.options import PublishOptions
from export.publishing.publication import Publication
from export.publishing.publish import Published, publish
from export.publishing.running_triton import RunningTriton, ServedState
from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.repository import ONNX_FILE, version_folder, versions
from families.serving_mark import is_served
from families.tensors import NamedTensor
from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.adapters.triton import TritonBackend
from gateway.adapters.triton.releases import FRESH_SECONDS
from gateway.domain.backend import InferenceBackend, Release
from gateway.domain.errors import ReleaseGone
from gateway.domain.pictures import (
    GenerateCommand,
    GenerateListener,
    PartialPicture,
    PictureEncoding,
    PictureFormat,
    PictureSize,
)
from gateway.pipelines.admission import Admission
from gateway.pipelines.embedding_cache import EmbeddingCache
from gateway.pipelines.generate import GeneratePipeline
from gateway.pipelines.imaging import PictureEncoder
from gateway.pipelines.incoming import PictureReader
from gateway.pipelines.models import ModelLibrary
from gateway.settings import BackendSettings
from tests.support.metrics import sample
from tests.support.tiny_model import write_tiny_model
from triptych.triton import RestartPolicy, TritonSettings, TritonSupervisor, locate, prepare

pytestmark = pytest.mark.triton

OPTIONS = PublishOptions(threads=1)
TIMES = SwapTimes(settle=1.2, drain=60, poll=0.05)
PATIENT = SwapTimes(drain=120, poll=0.05)
COMMAND = GenerateCommand(
    "tiny",
    "a red dress",
    "jeans",
    seeds=(5,),
    steps=6,
    guidance_scale=4.0,
    scheduler="euler",
    size=PictureSize(64, 64),
    deterministic=True,
    partial_images=0,
    encoding=PictureEncoding(PictureFormat.PNG, 100, embed_parameters=False),
)

EMPTY = (NamedTensor("input_ids", np.zeros((1, 16), np.int64)),)
"""The empty prompt."""


@pytest.fixture(scope="module")
def graphs(
    artefacts: dict[Component, Artefact], tmp_path_factory: pytest.TempPathFactory
) -> list[dict[Component, Path]]:
    """Folders with the components' graphs, of three trainings: the same shapes, other weights."""
    root = tmp_path_factory.mktemp("graphs")
    first = {part: artefact.folder for part, artefact in artefacts.items()}
    return [first, *({part: _retrained(first[part], root / f"{n}-{part}", n) for part in Component} for n in (1, 2))]


def _retrained(origin: Path, folder: Path, number: int) -> Path:
    """The graph with every weight a little off."""
    folder.mkdir()
    model = onnx.load(origin / ONNX_FILE)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > 1:
            tensor.CopyFrom(numpy_helper.from_array((values * (1 + 0.03 * number)).astype(np.float32), tensor.name))
    onnx.save(model, folder / ONNX_FILE)
    return folder


@dataclass
class Started(GenerateListener):
    """Knows when the step engine has taken the work."""

    event: asyncio.Event = field(default_factory=asyncio.Event)

    def started(self) -> None:
        self.event.set()

    def partial(self, picture: PartialPicture) -> None:
        raise AssertionError("nobody asked for previews")


class Gateway:
    """The gateway's own pipeline on a Triton, without HTTP."""

    def __init__(self, backend: InferenceBackend, source: ModelSource) -> None:
        telemetry = PrometheusTelemetry()
        self._encoder = PictureEncoder()
        self._reader = PictureReader(1 << 20)
        self._embeddings = EmbeddingCache(backend, 1 << 20, telemetry)
        self._pipeline = GeneratePipeline(
            backend=backend,
            models=ModelLibrary({"tiny": source}, None),
            embeddings=self._embeddings,
            encoder=self._encoder,
            reader=self._reader,
            admission=Admission(64, 64, telemetry),
            telemetry=telemetry,
            timeout_seconds=200,
        )

    async def draw(self, *, steps: int = 6, listener: GenerateListener | None = None) -> bytes:
        """A PNG, the same whenever the same release draws it."""
        drawn = await self._pipeline.run(replace(COMMAND, steps=steps), listener)
        return drawn.pictures[0].data

    async def close(self) -> None:
        await self._embeddings.close()
        self._encoder.close()
        self._reader.close()


@dataclass
class Stage:
    """A repository, the Triton that serves it, and a gateway's client."""

    source: ModelSource
    graphs: list[dict[Component, Path]]
    repository: Path
    triton: TritonSupervisor
    backend: TritonBackend
    gateway: Gateway

    async def version(self) -> int:
        """What a picture that begins now is drawn by, once the last answer is stale."""
        await asyncio.sleep(FRESH_SECONDS)
        return int((await self.backend.release("tiny")).version)

    def publish(self, training: int, options: PublishOptions = OPTIONS) -> Published:
        return publish(_publications(self.source, self.graphs[training], training, options), self.repository)

    async def swap(self, published: Published, times: SwapTimes) -> tuple[int, ...]:
        def run() -> tuple[int, ...]:
            with RunningTriton(self.triton.endpoints.grpc) as running:
                return swap(published, self.repository, running, times)

        return await asyncio.to_thread(run)

    async def ticks(self, version: int) -> float:
        """Denoiser calls of this version on Triton's metrics page."""

        def read() -> str:
            with urllib.request.urlopen(self.triton.endpoints.metrics, timeout=5) as page:
                return str(page.read(), "utf-8")

        text = await asyncio.to_thread(read)
        return sample(text, "triptych_engine_ticks_total", re.compile(f'version="{version}"'))

    def stubs(self, version: int) -> list[psutil.Process]:
        """Processes that run this version's models."""
        assert self.triton.status.pid
        mark = f"/{version}/model.py"
        return [
            process
            for process in psutil.Process(self.triton.status.pid).children(recursive=True)
            if any(word.endswith(mark) for word in _words(process))
        ]

    async def let_go(self, version: int) -> None:
        """Wait until nobody holds the version any more.

        A process that ends shows no command line from when its memory goes, and its locks go after its memory.
        """
        folders = [version_folder(self.repository, "tiny", part, version) for part in Component]
        async with asyncio.timeout(30):
            while self.stubs(version) or any(map(is_served, folders)):  # noqa: ASYNC110 - processes tell nobody
                await asyncio.sleep(0.05)


def _words(process: psutil.Process) -> list[str]:
    """Its command line; none of a process that has just ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _publications(
    source: ModelSource, graphs: dict[Component, Path], training: int, options: PublishOptions
) -> list[Publication]:
    return [Publication(source, part, options, graphs[part], f"training {training}") for part in Component]


@pytest.fixture(scope="module")
async def stage(
    source: ModelSource, graphs: list[dict[Component, Path]], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """The first training, served. Each test leaves the newest release served."""
    root = tmp_path_factory.mktemp("live")
    names = publish(_publications(source, graphs[0], 0, OPTIONS), root / "models").names
    settings = TritonSettings(model_repository=root / "models", models=names, exit_timeout_s=5)
    policy = RestartPolicy(startup_deadline_s=120, poll_s=0.2)
    async with TritonSupervisor(prepare(locate(), root / "cache"), settings, root / "triton.log", policy) as triton:
        backend = TritonBackend(triton.endpoints.grpc, [source.manifest], BackendSettings())
        gateway = Gateway(backend, source)
        yield Stage(source, graphs, root / "models", triton, backend, gateway)
        await gateway.close()
        await backend.close()
        assert triton.status.restarts == 0


@dataclass
class Load:
    """Requests one after the other from several callers until `stop`."""

    seen: list[bytes] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    stopping: bool = False

    def start(self, request: Callable[[], Awaitable[bytes]], callers: int) -> None:
        async def call() -> None:
            while not self.stopping:
                try:
                    self.seen.append(await request())
                except Exception as error:
                    self.failures.append(error)
                    await asyncio.sleep(0.05)

        self.tasks += [asyncio.ensure_future(call()) for _ in range(callers)]

    async def stop(self) -> None:
        self.stopping = True
        await asyncio.gather(*self.tasks)


async def test_a_swap_under_load_loses_nothing_and_mixes_nothing(stage: Stage) -> None:
    gateway = stage.gateway
    old = await stage.version()
    old_short, old_long = await gateway.draw(), await gateway.draw(steps=100)
    pictures, texts = Load(), Load()
    client = InferenceServerClient(stage.triton.endpoints.grpc)

    async def text() -> bytes:
        """Somebody who knows nothing of releases."""
        tensor = InferInput("input_ids", [1, 16], "INT64")
        tensor.set_data_from_numpy(np.arange(16).reshape(1, 16) % 10)
        answer = (await client.infer("tiny.text_encoder", [tensor])).as_numpy("context")
        return bytes(np.asarray(answer).tobytes())

    pictures.start(gateway.draw, 4)
    texts.start(text, 1)
    begun = [Started() for _ in range(4)]
    in_flight = [asyncio.ensure_future(gateway.draw(steps=100, listener=listener)) for listener in begun]
    await asyncio.gather(*(listener.event.wait() for listener in begun))
    published = stage.publish(1)
    assert published.version == old + 1
    assert await stage.swap(published, PATIENT) == (old,)
    assert all(task.done() for task in in_flight), "the swap ended before the old release's requests"
    new = await stage.version()
    await pictures.stop()
    await texts.stop()
    await client.close()

    assert (pictures.failures, texts.failures) == ([], [])
    new_short = await gateway.draw()
    assert new == old + 1 and new_short != old_short
    # Whatever callers were given is one release's to the byte, and what began with the old one ended with it.
    assert set(pictures.seen) == {old_short, new_short}
    assert [task.result() for task in in_flight] == [old_long] * 4
    assert len(set(texts.seen)) == 2

    await stage.let_go(old)
    assert len(stage.stubs(new)) == 4
    for part in Component:
        assert is_served(version_folder(stage.repository, "tiny", part, new))
    with pytest.raises(ReleaseGone):
        await stage.backend.encode_text(Release("tiny", str(old)), EMPTY, deterministic=False)


async def test_changed_options_load_the_same_version_anew(stage: Stage) -> None:
    gateway, current = stage.gateway, await stage.version()
    before = await gateway.draw()
    changed = stage.publish(1, PublishOptions(threads=1, max_rows=6))
    assert changed.version == current and changed.changed == {Component.DENOISER}
    assert await stage.swap(changed, TIMES) == ()
    assert await gateway.draw() == before
    assert await stage.version() == current
    async with asyncio.timeout(60):
        while len(stage.stubs(current)) > 4:  # noqa: ASYNC110 - the former step engine's process ends in its own time
            await asyncio.sleep(0.05)
    # Both engines had metrics of the same names: the old one's end must not take the new one's away.
    ticks = await stage.ticks(current)
    await gateway.draw(steps=9)
    async with asyncio.timeout(30):
        while await stage.ticks(current) < ticks + 9:  # noqa: ASYNC110 - the page lags by a quarter of a second
            await asyncio.sleep(0.05)


async def test_a_release_that_does_not_load_changes_nothing(stage: Stage, tmp_path: Path) -> None:
    gateway, current = stage.gateway, await stage.version()
    before = await gateway.draw()
    pictures = Load()
    pictures.start(gateway.draw, 2)
    (tmp_path / ONNX_FILE).write_bytes(b"not a graph")
    broken = {**stage.graphs[2], Component.VAE_DECODER: tmp_path}
    published = publish(_publications(stage.source, broken, 9, OPTIONS), stage.repository)
    with pytest.raises(SwapError, match=r"cannot load tiny.vae_decoder"):
        await stage.swap(published, TIMES)
    assert await stage.version() == current
    await pictures.stop()
    assert pictures.failures == []
    assert set(pictures.seen) == {before}
    with RunningTriton(stage.triton.endpoints.grpc) as running:
        served = running.served()
    assert all(served[name][current] is ServedState.READY for name in published.names)


class Unaware(TritonBackend):
    """A gateway that has not noticed: every picture begins with the release that was asked for."""

    stale: Release | None = None

    async def release(self, model: str) -> Release:
        asked, self.stale = self.stale, None
        return asked or await super().release(model)


async def test_an_impatient_swap_costs_time_but_no_request(stage: Stage, source: ModelSource) -> None:
    """Published several times meanwhile, and dropped without waiting: what lost its release begins again."""
    gateway, current = stage.gateway, await stage.version()
    old_short, old_long = await gateway.draw(), await gateway.draw(steps=60)
    for training in (0, 1):
        stage.publish(training)
    newest = stage.publish(2)
    kept = versions(stage.repository / "tiny.denoiser")
    assert kept == (current, newest.version - 1, newest.version), "what is served must stay on disk"
    pictures, long_ones = Load(), Load()
    pictures.start(gateway.draw, 3)
    long_ones.start(partial(gateway.draw, steps=60), 2)
    assert await stage.swap(newest, SwapTimes(settle=0, drain=0)) == (current,)
    assert await stage.version() == newest.version
    await pictures.stop()
    await long_ones.stop()
    new_short, new_long = await gateway.draw(), await gateway.draw(steps=60)
    assert (pictures.failures, long_ones.failures) == ([], [])
    assert set(pictures.seen) <= {old_short, new_short}
    assert set(long_ones.seen) <= {old_long, new_long}

    unaware = Unaware(stage.triton.endpoints.grpc, [source.manifest], BackendSettings())
    late = Gateway(unaware, source)
    unaware.stale = Release("tiny", str(current))
    assert await late.draw() == new_short
    await late.close()
    await unaware.close()
    await stage.let_go(current)
    # Nobody serves it any more: the next publication clears it away.
    assert stage.publish(0).version == newest.version + 1
    assert current not in versions(stage.repository / "tiny.denoiser")


async def test_another_contract_is_refused(stage: Stage, tmp_path: Path) -> None:
    current = await stage.version()
    folder = write_tiny_model(tmp_path / "tiny")
    tokenizer = folder / "tokenizer" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"striped"', '"spotted"'))
    other = publish(_publications(load_source(folder), stage.graphs[1], 1, OPTIONS), stage.repository)
    with pytest.raises(SwapError, match="differ in tokenizer"):
        await stage.swap(other, TIMES)
    assert await stage.version() == current


def test_no_triton_is_one_clear_error(tmp_path: Path) -> None:
    published = Published("tiny", 1, (), frozenset())
    with RunningTriton("127.0.0.1:9", load_seconds=5) as running, pytest.raises(SwapError, match=r"127.0.0.1:9 cannot"):
        swap(published, tmp_path, running)
