"""What one visit to one contender measures, and the visit itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from benchmarks.load import Cell, Drawer, ShortUnderLoad, closed_loop, short_under_load
from benchmarks.processes import ProcessMemory
from benchmarks.workload import LONG_STEPS, SHORT_STEPS, Plan, Workload, requests


@dataclass(frozen=True, slots=True)
class StepCounters:
    """Running totals of a step engine: denoiser calls and the rows they carried."""

    steps: float
    rows: float


class StepProbe(Protocol):
    """Reads a step engine's counters, None where there are none."""

    async def __call__(self) -> StepCounters | None: ...


@dataclass(frozen=True, slots=True)
class RowsPerStep:
    """Mean rows of a denoiser call while `users` users were served."""

    users: int
    rows: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything measured through a drawer. `short_solo_s` are latencies of short requests on the idle server."""

    cells: tuple[Cell, ...]
    rows_per_step: tuple[RowsPerStep, ...]
    short_solo_s: tuple[float, ...]
    loaded: ShortUnderLoad | None


@dataclass(frozen=True, slots=True)
class Visit:
    """One contender in one repeat. `problem` says why figures are missing; seconds count from the process's start."""

    contender: str
    repeat: int
    live_s: float | None = None
    ready_s: float | None = None
    memory: tuple[ProcessMemory, ...] = ()
    measured: Measured | None = None
    problem: str = ""


async def no_counters() -> StepCounters | None:
    """The probe of contenders without a step engine."""
    return None


async def measure(
    drawer: Drawer,
    workload: Workload,
    plan: Plan,
    *,
    users: tuple[int, ...],
    with_load: bool,
    probe: Callable[[], Awaitable[StepCounters | None]] = no_counters,
) -> Measured:
    """Warm up with the smallest and the largest crowd, then every cell; the mixed load comes last."""
    streams = iter(range(1, 10_000))
    for crowd in (min(users), max(users)):
        await closed_loop(drawer, requests(workload, seed=next(streams)), crowd, plan.warm_up_s / 2)
    cells, rows = [], []
    for crowd in users:
        before = await probe()
        cells.append(await closed_loop(drawer, requests(workload, seed=next(streams)), crowd, plan.cell_s))
        after = await probe()
        if before is not None and after is not None and after.steps > before.steps:
            rows.append(RowsPerStep(crowd, (after.rows - before.rows) / (after.steps - before.steps)))
    short = requests(workload, steps=SHORT_STEPS, seed=next(streams))
    solo = await closed_loop(drawer, short, 1, plan.short_solo_s)
    loaded = None
    if with_load:
        long = requests(workload, steps=LONG_STEPS, seed=next(streams))
        loaded = await short_under_load(
            drawer, short, long, long_users=plan.long_users, seconds=plan.loaded_s, think_s=plan.think_s
        )
    return Measured(tuple(cells), tuple(rows), solo.latencies_s, loaded)
