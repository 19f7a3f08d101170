"""The files through which the benchmark speaks with its in-process contenders."""

import argparse
import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import TypeAdapter

from benchmarks.figures import Measured, StepCounters, measure
from benchmarks.load import Drawer
from benchmarks.processes import ProcessMemory
from benchmarks.workload import Plan, Workload


@dataclass(frozen=True, slots=True)
class Job:
    """What to measure: `users` crowds of the shared workload."""

    workload: Workload
    plan: Plan
    users: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class JobResult:
    """What was measured; `ready_s` from the start of the process to the first picture possible."""

    ready_s: float
    memory: tuple[ProcessMemory, ...]
    measured: Measured


JOB = TypeAdapter(Job)
RESULT = TypeAdapter(JobResult)


class CountingDrawer(Drawer):
    """A drawer that may know its step engine's counters."""

    def counters(self) -> StepCounters | None:
        """None where no step engine is at work."""
        return None


def run(open_drawer: Callable[[Workload], AbstractContextManager[CountingDrawer]]) -> None:
    """The body of a contender's `main`: job file in, result file out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", type=Path, required=True)
    parser.add_argument("--result", type=Path, required=True)
    arguments = parser.parse_args()
    job = JOB.validate_json(arguments.job.read_bytes())
    process = psutil.Process()
    with open_drawer(job.workload) as drawer:
        ready_s = time.time() - process.create_time()

        async def probe() -> StepCounters | None:
            return drawer.counters()

        measured = asyncio.run(measure(drawer, job.workload, job.plan, users=job.users, with_load=False, probe=probe))
        memory = (ProcessMemory("main", round(process.memory_info().rss / 2**20, 1)),)
    arguments.result.write_bytes(RESULT.dump_json(JobResult(ready_s, memory, measured)))
