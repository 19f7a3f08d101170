"""Visiting one contender: start it, measure it, end it."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.client import HttpDrawer
from benchmarks.contenders import Contender, InProcess, Server, environment
from benchmarks.figures import Measured, StepCounters, Visit, measure, no_counters
from benchmarks.inproc.job import JOB, RESULT, Job
from benchmarks.load import DrawError
from benchmarks.metrics import read_counters
from benchmarks.ours import metrics_pages
from benchmarks.processes import ServerError, ServerProcess, free_port
from benchmarks.workload import Plan, Workload

_JOB_LIMIT_S = 240.0


def visit(contender: Contender, repeat: int, workload: Workload, plan: Plan) -> Visit:
    """Never raises for a contender's own failure: that becomes the visit's `problem`, and the others go on."""
    empty = Visit(contender.key, repeat)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            if isinstance(contender, InProcess):
                return _in_process(contender, empty, workload, plan, Path(folder))
            return _server(contender, empty, workload, plan, Path(folder))
        except (ServerError, DrawError) as error:
            return replace(empty, problem=str(error))


def _server(server: Server, empty: Visit, workload: Workload, plan: Plan, folder: Path) -> Visit:
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    with ServerProcess(server.command(workload, port), folder / "server.log", environment(workload)) as process:
        live_s = process.wait_until_ok(f"{base_url}/livez", plan.start_limit_s)
        ready_s = process.wait_until_ok(f"{base_url}/readyz", plan.start_limit_s)

        async def probe() -> StepCounters | None:
            return await read_counters(metrics_pages(base_url, workload.runtime_directory))

        measured = asyncio.run(_over_http(base_url, workload, plan, probe if server.has_step_engine else no_counters))
        return replace(empty, live_s=live_s, ready_s=ready_s, memory=process.memory(), measured=measured)


async def _over_http(
    base_url: str, workload: Workload, plan: Plan, probe: Callable[[], Awaitable[StepCounters | None]]
) -> Measured:
    async with HttpDrawer(base_url, workload.model, users=max(plan.users)) as drawer:
        return await measure(drawer, workload, plan, users=plan.users, with_load=True, probe=probe)


def _in_process(contender: InProcess, empty: Visit, workload: Workload, plan: Plan, folder: Path) -> Visit:
    users = tuple(crowd for crowd in plan.users if crowd in {1, contender.most_users})
    job, result = folder / "job.json", folder / "result.json"
    job.write_bytes(JOB.dump_json(Job(workload, plan, users)))
    with ServerProcess(contender.command(job, result), folder / "job.log") as process:
        process.wait(_JOB_LIMIT_S)
    found = RESULT.validate_json(result.read_bytes())
    return replace(empty, ready_s=found.ready_s, memory=found.memory, measured=found.measured)
