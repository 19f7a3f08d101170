"""Components of this process that leave their device for host memory, and come back."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.hardware.parking import can_park, park, unpark
from engine.hardware.policy import TorchPlan
from engine.runtimes import registry
from families.catalog import load_source
from families.manifest import Component
from families.tensors import NamedTensor
from families.torch_options import CompileMode, Offload
from gateway.adapters.inprocess import InProcessBackend, InProcessHost
from gateway.domain.backend import Denoised, DenoiseJob, Pixels, Release
from gateway.domain.errors import BackendUnavailable
from gateway.domain.residency import Unit
from gateway.settings import BackendSettings
from tests.support.published import publish
from tests.support.tiny_model import write_tiny_model

RELEASE = Release("tiny", "1")
UNITS = [Unit("tiny", component) for component in (Component.TEXT_ENCODER, Component.DENOISER, Component.VAE_DECODER)]
CUDA = torch.device("cuda", 0)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    source = load_source(write_tiny_model(tmp_path / "tiny"))
    for component in Component:
        publish(source, tmp_path / "repository", component, onnx=False)
    return tmp_path / "repository"


async def draw(backend: InProcessBackend) -> Pixels:
    ids = np.array([[0, 3, 1] + [2] * 13, [0, 4, 1] + [2] * 13])
    context = await backend.encode_text(RELEASE, (NamedTensor("input_ids", ids),), deterministic=True)
    job = DenoiseJob(RELEASE, context, (1,), 2, 4.0, "euler", 8, 8, deterministic=True)
    async with aclosing(backend.denoise(job)) as events:
        latents = [event.latents async for event in events if isinstance(event, Denoised)][-1]
    return await backend.decode(RELEASE, latents, deterministic=True)


async def test_what_waited_in_host_memory_draws_the_same_picture(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._MODULES, "torch", "tests.support.apart_runtime")
    backend = InProcessBackend(repository, ["tiny"], BackendSettings(kind="inprocess", runtime="torch", threads=1))
    host = InProcessHost(lambda: backend.models)
    await backend.prepare()
    for unit in UNITS:
        await host.load(unit)
    drawn = await draw(backend)
    sizes = [await host.park(unit) for unit in UNITS]
    assert all(size and size > 1000 for size in sizes)
    assert await host.present() == frozenset()
    with pytest.raises(BackendUnavailable, match=r"tiny\.text_encoder is not in memory"):
        await draw(backend)
    for unit in UNITS:
        await host.load(unit)
    assert await host.present() == set(UNITS)
    np.testing.assert_array_equal(await draw(backend), drawn)
    await host.park(UNITS[1])
    await host.unload(UNITS[1])
    await host.load(UNITS[1])
    np.testing.assert_array_equal(await draw(backend), drawn)
    await backend.close()


async def test_on_the_cpu_device_and_host_are_one(repository: Path) -> None:
    backend = InProcessBackend(repository, ["tiny"], BackendSettings(kind="inprocess", runtime="torch", threads=1))
    host = InProcessHost(lambda: backend.models)
    await backend.prepare()
    await asyncio.gather(*(host.load(unit) for unit in UNITS))
    assert [await host.park(unit) for unit in UNITS] == [None, None, None]
    assert await host.present() == set(UNITS) and (await draw(backend)).any()
    await backend.close()


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (TorchPlan(CUDA), True),
        (TorchPlan(torch.device("cpu")), False),
        (TorchPlan(torch.device("mps")), False),
        (TorchPlan(CUDA, offload=Offload.MODEL), False),
        (TorchPlan(CUDA, compile=CompileMode.DEFAULT), False),
    ],
)
def test_only_memory_of_a_gpu_can_be_left(plan: TorchPlan, expected: bool) -> None:
    assert can_park(plan) is expected


class Half(torch.nn.Linear):
    """A layer for which a device has no room."""

    def _apply(self, fn, recurse=True):  # type: ignore[no-untyped-def]
        if fn(torch.zeros(1)).is_meta:
            raise torch.OutOfMemoryError("out of memory")
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


def test_where_there_is_no_room_the_weights_still_wait() -> None:
    module = torch.nn.Sequential(torch.nn.ReLU(), Half(4, 4))
    assert park(module) == 4 * (16 + 4)
    before = [tensor.clone() for tensor in module.parameters()]
    with pytest.raises(torch.OutOfMemoryError):
        unpark(module, torch.device("meta"))
    assert all(torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))
