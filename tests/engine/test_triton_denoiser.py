"""The denoiser and component models in a real Triton: streamed progress, cancels, errors with their codes, metrics."""

import asyncio
import shutil
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import torch
import tritonclient.grpc.aio as grpcclient
from tritonclient.grpc import InferInput

from engine.request import DenoiseRequest
from engine.step import open_step_engine
from export.publishing.options import PublishOptions
from export.publishing.pbtxt import render
from export.publishing.served_models import Entry, model_config
from families import denoise_wire as wire
from families.catalog import ModelSource
from families.manifest import Component, triton_model_name
from families.repository import version_folder
from families.tensors import TensorSpec
from tests.engine.conftest import SETTINGS, request_of, run
from triptych.triton import TritonSettings, TritonSupervisor, locate, prepare

pytestmark = pytest.mark.triton

OPTIONS = PublishOptions(threads=1, queue_images=8, deterministic_rows=4)


@pytest.fixture(scope="module")
async def triton(
    repository: Path, tiny: ModelSource, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[TritonSupervisor]:
    root: Path = tmp_path_factory.mktemp("triton")
    shutil.copytree(repository, root / "models")
    names = []
    for component in Component:
        folder = version_folder(root / "models", tiny.manifest.name, component)
        config = render(model_config(tiny.manifest, Entry(component), OPTIONS))
        (folder.parent / "config.pbtxt").write_text(config)
        (folder / "model.py").write_text(Entry(component).model_file())
        names.append(triton_model_name(tiny.manifest.name, component))
    settings = TritonSettings(model_repository=root / "models", models=tuple(names), exit_timeout_s=10)
    async with TritonSupervisor(prepare(locate(), root / "cache"), settings, root / "triton.log") as running:
        yield running


@pytest.fixture
async def client(triton: TritonSupervisor) -> AsyncIterator[grpcclient.InferenceServerClient]:
    async with grpcclient.InferenceServerClient(triton.endpoints.grpc) as opened:
        yield opened


def tensor(spec: TensorSpec, value: object) -> InferInput:
    array = np.asarray(value, dtype=spec.dtype.numpy)
    made = InferInput(spec.name, list(array.shape), spec.dtype.value)
    made.set_data_from_numpy(array)
    return made


def inputs_of(request: DenoiseRequest, source: ModelSource) -> list[InferInput]:
    condition = source.manifest.given[0]
    return [
        tensor(wire.SEEDS, request.seeds),
        tensor(wire.STEPS, [request.steps]),
        tensor(wire.GUIDANCE_SCALE, [request.guidance_scale]),
        tensor(wire.SCHEDULER, [request.scheduler.encode()]),
        tensor(wire.LATENT_SIZE, [request.latent_height, request.latent_width]),
        tensor(wire.PRIORITY, [request.priority]),
        tensor(wire.DETERMINISTIC, [request.deterministic]),
        tensor(wire.PREVIEW_STEPS, request.preview_steps),
        tensor(wire.PROGRESS, [True]),
        tensor(condition, request.conditions[0].tensor.numpy()),
    ]


class RequestFailedError(Exception):
    """The engine's failure event."""

    def __init__(self, code: wire.FailureCode, message: str) -> None:
        super().__init__(message)
        self.code = code


async def denoise(
    client: grpcclient.InferenceServerClient,
    source: ModelSource,
    request: DenoiseRequest,
    *,
    cancel_after: int = 0,
    begun: asyncio.Event | None = None,
) -> list[tuple[int, int, np.ndarray | None]]:
    """(event, step, latents) of every response; the first sets `begun`."""

    async def requests() -> AsyncIterator[dict[str, object]]:
        yield {"model_name": f"{source.manifest.name}.denoiser", "inputs": inputs_of(request, source)}

    events = []
    stream = client.stream_infer(requests())
    async for result, error in stream:
        assert error is None
        event, step = int(result.as_numpy("EVENT")[0]), int(result.as_numpy("STEP")[0])
        if event == wire.EVENT_FAILED:
            code, message = result.as_numpy("FAILURE")
            raise RequestFailedError(wire.FailureCode(code.decode()), message.decode())
        events.append((event, step, result.as_numpy("LATENTS")))
        if begun is not None:
            begun.set()
        if cancel_after and step >= cancel_after:
            stream.cancel()
            break
    return events


async def metric(triton: TritonSupervisor, name: str) -> float:
    def read() -> float:
        with urllib.request.urlopen(triton.endpoints.metrics, timeout=5) as page:
            lines = page.read().decode().splitlines()
        prefix = f"triptych_engine_{name}{{"
        return float(next(line for line in lines if line.startswith(prefix)).rsplit(" ", 1)[1])

    return await asyncio.to_thread(read)


async def test_progress_preview_and_the_same_latents_as_without_triton(
    client: grpcclient.InferenceServerClient, tiny: ModelSource, published: Path
) -> None:
    request = request_of((1, 2), steps=5, scheduler="dpm++_sde_karras", previews=(3,))
    events = await denoise(client, tiny, request)
    told = [(event, step) for event, step, _ in events]
    # Of the steps, the first is told at once and the others in passing; previews and the end always.
    assert told[0] == (wire.EVENT_PROGRESS, 1) and told[-1] == (wire.EVENT_FINISHED, 5)
    assert [step for event, step in told if event == wire.EVENT_PREVIEW] == [3]
    assert [step for _, step in told] == sorted(step for _, step in told)
    assert all((latents is not None) == (event != wire.EVENT_PROGRESS) for event, _, latents in events)
    engine = open_step_engine(published, "onnxruntime", SETTINGS)
    try:
        expected = run(engine, request)
    finally:
        engine.close()
    latents = events[-1][2]
    assert latents is not None
    torch.testing.assert_close(torch.from_numpy(latents.copy()), expected, atol=1e-4, rtol=1e-4)


async def test_deterministic_bytes_alone_and_in_a_crowd(
    client: grpcclient.InferenceServerClient, tiny: ModelSource
) -> None:
    wanted = request_of((5,), steps=6, deterministic=True)
    alone = (await denoise(client, tiny, wanted))[-1][2]
    others = [request_of((seed,), steps=4 + seed, deterministic=seed % 2 == 0) for seed in range(7)]
    results = await asyncio.gather(*(denoise(client, tiny, request) for request in [*others, wanted]))
    assert np.array_equal(results[-1][-1][2], alone)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (request_of(scheduler="nope"), "supported are"),
        (request_of(steps=0), "steps must"),
        (request_of(tuple(range(9))), "ever holds"),
    ],
)
async def test_bad_values_are_the_callers_fault(
    triton: TritonSupervisor,
    client: grpcclient.InferenceServerClient,
    tiny: ModelSource,
    request_: DenoiseRequest,
    message: str,
) -> None:
    # Many times and at once: ending streams with errors of Triton's own brought the server down now and then.
    outcomes = await asyncio.gather(*(denoise(client, tiny, request_) for _ in range(40)), return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, RequestFailedError) and message in str(outcome)
        assert outcome.code is wire.FailureCode.INVALID
    assert triton.status.restarts == 0


async def test_a_full_queue_says_so(
    triton: TritonSupervisor, client: grpcclient.InferenceServerClient, tiny: ModelSource
) -> None:
    before = await metric(triton, "cancelled_total")
    big = request_of(tuple(range(8)), steps=900)
    begun = asyncio.Event()
    first = asyncio.ensure_future(denoise(client, tiny, big, begun=begun))
    await asyncio.wait_for(begun.wait(), 60)
    for _ in range(2):
        with pytest.raises(RequestFailedError) as refused:
            await denoise(client, tiny, big)
        assert refused.value.code is wire.FailureCode.QUEUE_FULL
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    # The next test counts cancels.
    async with asyncio.timeout(30):
        while await metric(triton, "cancelled_total") < before + 1:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_cancelled_streams_free_their_rows(
    triton: TritonSupervisor, client: grpcclient.InferenceServerClient, tiny: ModelSource
) -> None:
    before = await metric(triton, "cancelled_total")
    # Long enough that the tiny model is not done with them before a caller can have heard of anything.
    results = await asyncio.gather(
        *(
            denoise(client, tiny, request_of((seed,), steps=900 if seed % 2 else 10), cancel_after=3 * (seed % 2))
            for seed in range(8)
        )
    )
    assert all(events[-1][0] == wire.EVENT_FINISHED for events in results[::2])
    # The page lags the engine by a quarter of a second.
    async with asyncio.timeout(30):
        while await metric(triton, "cancelled_total") < before + 4:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert await metric(triton, "cancelled_total") == before + 4
    assert await metric(triton, "active_images") + await metric(triton, "waiting_images") == 0
    assert await metric(triton, "rows_total") > 100
    assert triton.status.restarts == 0


async def test_components_batch_and_split(client: grpcclient.InferenceServerClient, tiny: ModelSource) -> None:
    manifest = tiny.manifest
    ids = np.zeros((1, manifest.prompts[0].length), np.int64)
    rows = [np.full_like(ids, value) for value in range(8)]
    spec = manifest.text_encoder.inputs[0]
    results = await asyncio.gather(
        *(client.infer(f"{manifest.name}.text_encoder", [tensor(spec, row)]) for row in rows)
    )
    together = await client.infer(f"{manifest.name}.text_encoder", [tensor(spec, np.concatenate(rows))])
    context = np.concatenate([result.as_numpy("context") for result in results])
    np.testing.assert_allclose(context, together.as_numpy("context"), atol=1e-4)
    latents = np.random.default_rng(0).standard_normal((3, 4, 5, 7), dtype=np.float32)
    decoded = await client.infer(f"{manifest.name}.vae_decoder", [tensor(manifest.vae_decoder.inputs[0], latents)])
    pixels = decoded.as_numpy("pixels")
    assert (pixels.shape, pixels.dtype) == ((3, 40, 56, 3), np.uint8)
