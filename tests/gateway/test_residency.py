"""Models on demand: the manager and the backend over a fake memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from families.batching import MAX_BATCH, MAX_ROWS
from families.manifest import Component
from families.tensors import NamedTensor
from gateway.domain.backend import Denoised, DenoiseJob, Release
from gateway.domain.errors import BackendFailed, BackendUnavailable, InsufficientMemory, MemoryBusy, ReleaseGone
from gateway.domain.residency import Unit, UnitState
from gateway.pipelines.residency.backend import ResidentBackend
from gateway.pipelines.residency.footprints import FootprintFile, Measured
from gateway.pipelines.residency.manager import ResidencyManager
from gateway.pipelines.residency.options import ResidencyOptions
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.fake_host import FakeHost

MODELS = ("a", "b", "c")
UNITS = tuple(Unit(model, component) for model in MODELS for component in Component)
TOKENS = (NamedTensor("input_ids", np.zeros((1, 4), np.int64)),)
CONDITIONS = (NamedTensor("context", np.zeros((1, 4, 4), np.float32)),)


def job(model: str, steps: int = 3, side: int = 4) -> DenoiseJob:
    return DenoiseJob(Release(model, "1"), CONDITIONS, (1,), steps, 1.0, "euler", side, side)


@asynccontextmanager
async def opened(
    host: FakeHost, options: ResidencyOptions, folder: Path, inner: FakeBackend | None = None
) -> AsyncIterator[ResidentBackend]:
    manager = ResidencyManager(host, UNITS, options, FootprintFile(folder / "footprints.json", "test"))
    backend = ResidentBackend(inner or FakeBackend(), host, manager)
    assert not await backend.ready()
    await backend.open()
    yield backend
    await backend.close()
    assert host.closed and not await backend.ready()


async def draw(backend: ResidentBackend, model: str, steps: int = 3, side: int = 4) -> None:
    """As the pipeline does: component after component."""
    release = await backend.release(model)
    await backend.encode_text(release, TOKENS, deterministic=False)
    async with aclosing(backend.denoise(job(model, steps, side))) as events:
        latents = [event.latents async for event in events if isinstance(event, Denoised)][-1]
    await backend.decode(release, latents, deterministic=False)


async def test_a_text_encoder_leaves_before_its_denoiser_enters(tmp_path: Path) -> None:
    host = FakeHost(limit=12)
    async with opened(host, ResidencyOptions(budget_bytes=12), tmp_path) as backend:
        await draw(backend, "a")
    assert host.done == [
        "+a.text_encoder", "-a.text_encoder", "+a.denoiser", "-a.denoiser", "+a.vae_decoder",
    ]  # fmt: skip


async def test_what_is_there_is_not_loaded_again(tmp_path: Path) -> None:
    host = FakeHost()
    async with opened(host, ResidencyOptions(), tmp_path) as backend:
        await asyncio.gather(*(draw(backend, "a") for _ in range(5)))
        assert len(host.done) == 3
        snapshot = backend.residency()
    assert (snapshot.counts.loads, snapshot.used, snapshot.budget) == (3, 30, None)


async def test_a_crowd_over_three_models_never_takes_more_than_there_is(tmp_path: Path) -> None:
    host = FakeHost(limit=45, seconds=0.002)
    async with opened(host, ResidencyOptions(budget_bytes=45), tmp_path) as backend:
        async with asyncio.timeout(30):
            await asyncio.gather(*(draw(backend, MODELS[number % 3]) for number in range(24)))
        snapshot = backend.residency()
        assert sum(status.leases + status.waiting for status in snapshot.units) == 0
        assert snapshot.used <= 45 and snapshot.counts.unloads > 0


async def test_what_can_never_fit_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    host = FakeHost(sizes={"b.vae_decoder": 200})
    async with opened(host, ResidencyOptions(budget_bytes=100), tmp_path) as backend:
        with pytest.raises(
            InsufficientMemory, match=r"b\.vae_decoder needs 200 bytes .* budget is 100 bytes"
        ) as refused:
            await draw(backend, "b")
        assert (refused.value.status, refused.value.code, refused.value.retry_after) == (
            507,
            "insufficient_memory",
            None,
        )
        assert backend.residency().counts.refused == 1
    assert host.done == []


async def test_who_waits_too_long_is_told_when_to_come_back(tmp_path: Path) -> None:
    host = FakeHost()
    inner = FakeBackend(step_seconds=0.02)
    async with opened(host, ResidencyOptions(budget_bytes=12, wait_seconds=0.1), tmp_path, inner) as backend:
        long = asyncio.ensure_future(draw(backend, "a", steps=30))
        while not inner.jobs:  # noqa: ASYNC110 - a step is short
            await asyncio.sleep(0.005)
        with pytest.raises(MemoryBusy) as refused:
            await draw(backend, "b")
        assert refused.value.status == 503 and refused.value.retry_after
        await long
        await draw(backend, "b")


async def test_pinned_models_are_there_from_the_start(tmp_path: Path) -> None:
    host = FakeHost(pinned={unit for unit in UNITS if unit.model == "c"})
    options = ResidencyOptions(budget_bytes=60, pinned=frozenset("c"))
    async with opened(host, options, tmp_path) as backend:
        assert {unit.model for unit in host.loaded} == {"c"} and len(host.loaded) == 4
        await draw(backend, "a")
        assert {unit.model for unit in host.loaded} >= {"c"}
    assert not any(entry.startswith("-c") for entry in host.done)


async def test_idle_models_leave(tmp_path: Path) -> None:
    host = FakeHost()
    async with opened(host, ResidencyOptions(idle_seconds=1), tmp_path) as backend:
        await draw(backend, "a")
        assert len(host.loaded) == 3
        async with asyncio.timeout(30):
            while host.loaded:  # noqa: ASYNC110 - it is a timer that is waited for
                await asyncio.sleep(0.02)
        assert backend.residency().used == 0


async def test_what_leaves_the_device_waits_in_host_memory_and_the_first_leaves_that(tmp_path: Path) -> None:
    host = FakeHost(limit=12, parks=25, sizes={"a.vae_decoder": 5})
    options = ResidencyOptions(budget_bytes=12, host_budget_bytes=25)
    async with opened(host, options, tmp_path) as backend:
        await draw(backend, "a")
        assert host.done[:3] == ["+a.text_encoder", "~a.text_encoder", "+a.denoiser"]
        await draw(backend, "b")
        # 10 + 10 + 5 are full; each that comes now pushes out the one that has waited longest.
        assert host.done[5:8] == ["~a.vae_decoder", "+b.text_encoder", "-a.text_encoder"]
        snapshot = backend.residency()
        assert snapshot.host_used <= 25 == snapshot.host_budget and snapshot.counts.parks == 5
        kept = set(host.parked)
        await draw(backend, "b")
        assert kept - host.parked, "some were fetched back"


async def test_a_crowd_never_takes_more_host_memory_than_there_is(tmp_path: Path) -> None:
    host = FakeHost(limit=25, parks=45, seconds=0.002)
    options = ResidencyOptions(budget_bytes=25, host_budget_bytes=45, idle_seconds=0.2)
    async with opened(host, options, tmp_path) as backend:
        async with asyncio.timeout(30):
            await asyncio.gather(*(draw(backend, MODELS[number % 3]) for number in range(24)))
            assert backend.residency().counts.parks
            while host.parked or host.loaded:  # noqa: ASYNC110 - the idle timer is waited for
                await asyncio.sleep(0.02)
        snapshot = backend.residency()
        assert snapshot.host_used == snapshot.used == 0, "what nobody used for long leaves host memory too"


async def test_a_host_that_cannot_park_lets_go(tmp_path: Path) -> None:
    host = FakeHost(limit=12)
    async with opened(host, ResidencyOptions(budget_bytes=12, host_budget_bytes=100), tmp_path) as backend:
        await draw(backend, "a")
        assert backend.residency().host_used == 0 and "-a.text_encoder" in host.done


async def test_a_load_that_fails_is_told_and_the_next_one_tried(tmp_path: Path) -> None:
    host = FakeHost(fail_load=RuntimeError("no such file"))
    async with opened(host, ResidencyOptions(budget_bytes=50), tmp_path) as backend:
        with pytest.raises(BackendFailed, match="no such file"):
            await draw(backend, "a")
        assert backend.residency().used == 0
        host.fail_load = None
        await draw(backend, "a")
        assert backend.residency().counts.load_failures == 1


async def test_a_unit_that_will_not_go_is_counted_until_it_has_gone(tmp_path: Path) -> None:
    host = FakeHost(limit=12, fail_unload=RuntimeError("busy"))
    async with opened(host, ResidencyOptions(budget_bytes=12, retry_seconds=0.01), tmp_path) as backend:
        await draw(backend, "a")


@pytest.mark.parametrize("gone", [True, False])
async def test_what_was_lost_is_loaded_anew(tmp_path: Path, gone: bool) -> None:
    """Triton died, or somebody replaced the release behind our back."""
    host = FakeHost()
    inner = FakeBackend()
    async with opened(host, ResidencyOptions(budget_bytes=100), tmp_path, inner) as backend:
        for _ in range(2):  # the first time each component comes in alone
            await draw(backend, "a")
        inner.fail_encode = ReleaseGone("replaced") if gone else BackendUnavailable("away")
        if not gone:
            host.loaded.clear()
        with pytest.raises(BackendUnavailable):
            await draw(backend, "a")
        inner.fail_encode = None
        host.done.clear()
        await draw(backend, "a")
        assert next(entry for entry in host.done if entry[0] == "+") == "+a.text_encoder"


async def test_growth_is_measured_and_remembered(tmp_path: Path) -> None:
    host = FakeHost(grown={"a.text_encoder": 25})
    async with opened(host, ResidencyOptions(budget_bytes=100), tmp_path) as backend:
        for _ in range(2):
            await draw(backend, "a")
        assert backend.residency().used == 46
    path, unit = tmp_path / "footprints.json", Unit("a", Component.TEXT_ENCODER)
    assert FootprintFile(path, "test").get(unit, files=10) == Measured(bytes=26, work=4, files=10)
    assert FootprintFile(path, "test").get(unit, files=11) is None, "these are other weights"
    assert FootprintFile(path, "other").get(unit, files=10) is None
    path.write_text('{"test": {"a.text_encoder": 25}}')
    assert FootprintFile(path, "test").get(unit, files=10) is None


async def test_a_caller_that_leaves_while_it_waits_leaves_nothing_behind(tmp_path: Path) -> None:
    host = FakeHost(seconds=0.05)
    async with opened(host, ResidencyOptions(budget_bytes=12), tmp_path) as backend:
        tasks = [asyncio.ensure_future(draw(backend, model)) for model in MODELS]
        await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await draw(backend, "c")
        units = backend.residency().units
        assert not any(status.leases or status.waiting for status in units)
        assert sum(status.state is UnitState.LOADED for status in units) == 1


async def test_a_component_is_measured_alone_with_the_largest_calls_of_its_kind(tmp_path: Path) -> None:
    host = FakeHost(alone={"a.text_encoder": 25, "a.denoiser": 40})
    inner = FakeBackend()
    async with opened(host, ResidencyOptions(budget_bytes=100), tmp_path, inner) as backend:
        await asyncio.gather(*(draw(backend, "a") for _ in range(3)))
        assert inner.encoded == [MAX_BATCH[Component.TEXT_ENCODER], 1, 1, 1]
        assert [len(asked.seeds) for asked in inner.jobs] == [MAX_ROWS, 1, 1, 1]
        assert inner.cancelled == 1, "of the largest only one step is of interest"
        await draw(backend, "a")
        assert backend.residency().used == 78, "they fit together"
        assert all(status.measured for status in backend.residency().units if status.unit in host.loaded)
    again = FakeBackend()
    async with opened(FakeHost(), ResidencyOptions(budget_bytes=100), tmp_path, again) as backend:
        await draw(backend, "a")
        assert again.encoded == [1] and backend.residency().used == 78, "it is remembered"


async def test_larger_pictures_are_measured_before_they_are_drawn(tmp_path: Path) -> None:
    host = FakeHost(limit=100)
    async with opened(host, ResidencyOptions(budget_bytes=100), tmp_path) as backend:
        for _ in range(2):
            await draw(backend, "a")
        assert backend.residency().used == 30
        host.done.clear()
        host.alone["a.denoiser"], host.alone["a.vae_decoder"] = 48, 39
        await asyncio.gather(*(draw(backend, "a", side=8) for _ in range(3)), draw(backend, "a"))
        assert host.done.count("+a.denoiser") == host.done.count("+a.vae_decoder") == 1
        host.done.clear()
        for side in (4, 8, 6):
            await draw(backend, "a", side=side)
        assert host.done == ["+a.text_encoder", "+a.denoiser"] and backend.residency().used == 100


async def test_pictures_that_are_too_large_are_refused_and_smaller_ones_drawn(tmp_path: Path) -> None:
    host = FakeHost(limit=100)
    async with opened(host, ResidencyOptions(budget_bytes=100), tmp_path) as backend:
        await draw(backend, "a")
        host.alone["a.denoiser"] = 101
        with pytest.raises(InsufficientMemory, match=r"a\.denoiser needs 106 bytes .* there is room for 100"):
            await draw(backend, "a", side=8)
        host.done.clear()
        with pytest.raises(InsufficientMemory):
            await draw(backend, "a", side=9)
        assert "+a.denoiser" not in host.done, "it is known"
        host.alone["a.denoiser"] = 10
        await draw(backend, "a")
        assert backend.residency().counts.refused == 2


async def test_a_measurement_that_fails_is_made_again(tmp_path: Path) -> None:
    host, inner = FakeHost(), FakeBackend(fail_encode=BackendUnavailable("away"))
    async with opened(host, ResidencyOptions(budget_bytes=100), tmp_path, inner) as backend:
        with pytest.raises(BackendUnavailable):
            await draw(backend, "a")
        inner.fail_encode = InsufficientMemory("too much at once")
        with pytest.raises(InsufficientMemory):
            await draw(backend, "a")
        inner.fail_encode = None
        await draw(backend, "a")
        assert inner.encoded[:2] == [16, 16] and inner.encoded[-1] == 1
