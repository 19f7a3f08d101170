"""What generated configurations ask of Triton, asked of a real one: warm-up, cache, priorities, timeouts, limits."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from engine.open import open_component
from engine.settings import RuntimeSettings
from export.artefacts.artefact import Artefact
from export.publishing.options import PublishOptions
from export.publishing.publication import Publication
from export.publishing.publish import publish
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import version_folder
from families.tensors import TensorSpec
from gateway.adapters.triton.errors import backend_error
from gateway.domain.errors import BackendTimeout, QueueFull
from triptych.triton import RestartPolicy, TritonSettings, TritonSupervisor, locate, prepare

pytestmark = pytest.mark.triton

OPTIONS = PublishOptions(threads=1, max_rows=4, native_denoiser=True, warm_up=True, response_cache=True)
SERVED = ("tiny.text_encoder", "tiny.vae_decoder", "tiny.denoiser_native")
NATIVE = "tiny.denoiser_native"


@pytest.fixture(scope="module")
async def served(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[TritonSupervisor, Path]]:
    """All but the step engine, with everything switched on."""
    root = tmp_path_factory.mktemp("served")
    publications = [Publication(source, part, OPTIONS, made.folder, made.key) for part, made in artefacts.items()]
    publish(publications, root / "models")
    settings = TritonSettings(
        model_repository=root / "models",
        models=SERVED,
        exit_timeout_s=5,
        response_cache_bytes=1 << 20,
        rate_limit=True,
        log_verbose=1,
    )
    policy = RestartPolicy(startup_deadline_s=120, poll_s=0.2)
    async with TritonSupervisor(prepare(locate(), root / "cache"), settings, root / "triton.log", policy) as triton:
        yield triton, root
        assert triton.status.restarts == 0


@pytest.fixture
async def client(served: tuple[TritonSupervisor, Path]) -> AsyncIterator[InferenceServerClient]:
    async with InferenceServerClient(served[0].endpoints.grpc) as opened:
        yield opened


def tensor(spec: TensorSpec, array: np.ndarray) -> InferInput:
    made = InferInput(spec.name, list(array.shape), spec.dtype.value)
    made.set_data_from_numpy(array.astype(spec.dtype.numpy))
    return made


def step_inputs(source: ModelSource, rows: int, side: int = 8, seed: int = 0) -> list[InferInput]:
    """One denoiser call. A scalar a row travels as [rows, 1]."""
    (sample, timestep, _), (context,) = source.manifest.denoiser.inputs, source.manifest.given
    generator = np.random.default_rng(seed)
    return [
        tensor(sample, generator.standard_normal((rows, 4, side, side))),
        tensor(timestep, np.linspace(900, 100, rows).reshape(rows, 1)),
        tensor(context, generator.standard_normal((rows, *context.triton_dims))),
    ]


async def test_every_model_was_warmed_up_at_both_ends(served: tuple[TritonSupervisor, Path]) -> None:
    log = (served[1] / "triton.log").read_text()
    for name in SERVED:
        for rows in (1, {"tiny.text_encoder": 16, "tiny.vae_decoder": 4, NATIVE: 4}[name]):
            assert f"model '{name}' instance {name}_0_0 is running warmup sample 'batch {rows}'" in log
    assert "failed to run warmup" not in log.lower()


async def test_a_native_step_is_the_denoisers_own(
    client: InferenceServerClient, source: ModelSource, served: tuple[TritonSupervisor, Path]
) -> None:
    folder = version_folder(served[1] / "models", "tiny", Component.DENOISER, 1)
    runtime = open_component(folder, Component.DENOISER, "onnxruntime", RuntimeSettings(threads=1, device="cpu"))
    inputs = step_inputs(source, 3)
    answer = (await client.infer(NATIVE, inputs)).as_numpy("prediction")
    generator = np.random.default_rng(0)
    sample = generator.standard_normal((3, 4, 8, 8)).astype(np.float32)
    context = generator.standard_normal((3, *source.manifest.given[0].triton_dims)).astype(np.float32)
    (expected,) = runtime.run_arrays([sample, np.linspace(900, 100, 3).astype(np.float32), context])
    np.testing.assert_allclose(answer, expected, atol=1e-4)


async def test_steps_of_many_callers_become_batches(client: InferenceServerClient, source: ModelSource) -> None:
    before = (await client.get_inference_statistics(NATIVE)).model_stats[0]
    # A large step first: while the model is busy with it, the small ones gather in its queue.
    busy = asyncio.ensure_future(client.infer(NATIVE, step_inputs(source, 4, side=64)))
    steps = [step_inputs(source, 1, seed=seed) for seed in range(32)]
    await asyncio.gather(busy, *(client.infer(NATIVE, step) for step in steps))
    # Statistics may be booked after the response was sent.
    async with asyncio.timeout(30):
        while True:
            after = (await client.get_inference_statistics(NATIVE)).model_stats[0]
            if after.inference_count >= before.inference_count + 4 + 32:
                break
            await asyncio.sleep(0.02)
    assert after.inference_count - before.inference_count == 4 + 32
    assert after.execution_count - before.execution_count < 33


async def test_queues_refuse_what_waits_too_long_or_is_too_much(
    client: InferenceServerClient, source: ModelSource
) -> None:
    big = [client.infer(NATIVE, step_inputs(source, 4, side=64, seed=seed)) for seed in range(6)]
    # A microsecond is over before Triton's batcher can look, be the model busy or, as may happen, not yet.
    hurried = [client.infer(NATIVE, step_inputs(source, 1), timeout=1, priority=1) for _ in range(4)]
    # The last level may hold a quarter of the queue: 16 of 64 rows' requests.
    flood = [client.infer(NATIVE, step_inputs(source, 1, side=16, seed=seed), priority=3) for seed in range(60)]
    answers = await asyncio.gather(*big, *hurried, *flood, return_exceptions=True)
    assert not [answer for answer in answers[:6] if isinstance(answer, BaseException)]
    late, many = answers[6:10], answers[10:]
    assert [type(told(answer)) for answer in late] == [BackendTimeout] * 4
    refused = [answer for answer in many if isinstance(answer, BaseException)]
    assert 0 < len(refused) < len(many)
    assert {type(told(answer)) for answer in refused} == {QueueFull}


def told(answer: object) -> Exception:
    """What the gateway makes of the error."""
    assert isinstance(answer, InferenceServerException), answer
    return backend_error((answer.status() or "UNKNOWN").removeprefix("StatusCode."), answer.message())


async def test_a_repeated_prompt_is_answered_from_the_cache(client: InferenceServerClient, source: ModelSource) -> None:
    spec = source.manifest.text_encoder.inputs[0]
    ids = np.arange(16).reshape(1, -1) % 10

    async def counts() -> tuple[int, int]:
        stats = (await client.get_inference_statistics("tiny.text_encoder")).model_stats[0].inference_stats
        return stats.cache_hit.count, stats.cache_miss.count

    hits, misses = await counts()
    answers = [(await client.infer("tiny.text_encoder", [tensor(spec, ids)])).as_numpy("context") for _ in range(3)]
    other = (await client.infer("tiny.text_encoder", [tensor(spec, ids + 1)])).as_numpy("context")
    # Statistics may be booked after the response was sent.
    async with asyncio.timeout(30):
        while sum(await counts()) < hits + misses + 4:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert await counts() == (hits + 2, misses + 2)
    assert all((answer == answers[0]).all() for answer in answers)
    assert not (other == answers[0]).all()
