"""One soak: calibrate, fill, ask, empty."""

import asyncio
import time
from dataclasses import fields
from enum import StrEnum
from pathlib import Path

from benchmarks.residency.models import graphs_of, publish_models
from benchmarks.residency.result import Soak, Swap
from benchmarks.residency.sampling import Sampler, peaks
from benchmarks.residency.soak import Plan, ask, soak
from benchmarks.residency.stacks import Stack, stack, until_unloaded
from export.publishing.options import Runtime
from gateway.adapters.memory import share_one_arena
from gateway.domain.residency import ResidencyCounts
from gateway.settings import BackendSettings, ResidencySettings

_MARGIN = 1.05
"""Of the budget over two models: decoders differ by what they have drawn."""
_PLENTY = 1 << 36
_SETTLE_SECONDS = 1.0


class BackendKind(StrEnum):
    """What holds the models."""

    TRITON = "triton"
    INPROCESS = "inprocess"


class RuntimeKind(StrEnum):
    """What executes them."""

    ONNXRUNTIME = "onnxruntime"
    TORCH = "torch"


async def run_soak(
    folder: Path,
    place: Path,
    kind: BackendKind,
    runtime: RuntimeKind,
    plan: Plan,
    *,
    names: tuple[str, ...],
    models_in_budget: float = 2,
    idle_seconds: float = 10.0,
    built: Path | None = None,
) -> Soak:
    """Soak models made of the one in `folder`; everything but `built` graphs lies below `place`."""
    # As when serving, before there are threads that have an arena already.
    share_one_arena()
    graphs = await asyncio.to_thread(graphs_of, folder, Runtime(runtime), built or place)
    sources = await asyncio.to_thread(publish_models, folder, names, Runtime(runtime), place, graphs)
    # One thread: loads and calls of several components run side by side, and the machine has other work too.
    backend = BackendSettings(kind=kind.value, runtime=runtime.value, threads=1)
    async with stack(place, sources, backend, ResidencySettings(budget_bytes=_PLENTY)) as calibrating:
        for _ in range(2):  # the first time each component is measured alone, the second time they are together
            await ask(calibrating, names[0], 0, plan.steps)
        size = calibrating.residency().used
    budget = int(models_in_budget * size * _MARGIN)
    residency = ResidencySettings(budget_bytes=budget, auto_unload_timeout=idle_seconds, wait_timeout=600)
    async with stack(place, sources, backend, residency) as running:
        with Sampler(running.models, lambda: running.residency().used) as sampler:
            # Libraries are loaded with the first models and stay, and buffers for so many users: what is compared lies
            # after one round of everything.
            await _warm_up(running, plan, names)
            await until_unloaded(running, idle_seconds + 120)
            await asyncio.sleep(_SETTLE_SECONDS)
            base, start = running.models(), running.servers()
            loaded = running.residency().counts
            begun = time.perf_counter()
            answers = await soak(running, plan, names)
            seconds = time.perf_counter() - begun
            counts = _since(running.residency().counts, loaded)
        swaps = tuple([await _swap(running, name, plan.steps) for name in names])
        await until_unloaded(running, idle_seconds + 120)
        await asyncio.sleep(_SETTLE_SECONDS)
        end = running.servers()
    return Soak(
        backend=kind,
        runtime=runtime,
        plan=plan,
        budget=budget,
        model_bytes=size,
        base=base,
        start=start,
        end=end,
        seconds=seconds,
        answers=answers,
        counts=counts,
        looked=len(sampler.samples),
        samples=peaks(sampler.samples),
        swaps=swaps,
    )


async def _swap(running: Stack, name: str, steps: int) -> Swap:
    """Names in turn: with fewer models in memory than there are, each is out when its turn comes again."""
    cold = await ask(running, name, 1, steps)
    warm = await ask(running, name, 1, steps)
    return Swap(cold.seconds, warm.seconds)


async def _warm_up(running: Stack, plan: Plan, names: tuple[str, ...]) -> None:
    for name in names:
        await asyncio.gather(*(ask(running, name, number, plan.steps) for number in range(plan.users)))


def _since(now: ResidencyCounts, then: ResidencyCounts) -> ResidencyCounts:
    names = (field.name for field in fields(ResidencyCounts))
    return ResidencyCounts(**{name: getattr(now, name) - getattr(then, name) for name in names})
