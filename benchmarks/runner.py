"""The whole run: repeats, rotation, the time budget."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from benchmarks.contenders import Contender, rotated
from benchmarks.figures import Visit
from benchmarks.machine import fingerprint
from benchmarks.results import Run
from benchmarks.summary import summarise
from benchmarks.targets import check
from benchmarks.visit import visit
from benchmarks.workload import Plan, Workload

Progress = Callable[[str], None]


def run_all(contenders: tuple[Contender, ...], workload: Workload, plan: Plan, progress: Progress) -> Run:
    """Visit everybody `plan.repeats` times, one after another. A repeat that would break the budget is not begun."""
    machine = fingerprint()
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    started = perf_counter()
    visits: list[Visit] = []
    done = 0
    longest = 0.0
    while done < plan.repeats and perf_counter() - started + longest <= plan.budget_s:
        repeat_started = perf_counter()
        for contender in rotated(contenders, done):
            progress(f"repeat {done + 1} of {plan.repeats}: {contender.label}")
            visits.append(visit(contender, done, workload, plan))
        longest = max(longest, perf_counter() - repeat_started)
        done += 1
    summaries = tuple(summarise(contender, visits) for contender in contenders)
    return Run(
        started=started_at,
        seconds=round(perf_counter() - started, 1),
        commit=_commit(),
        machine=machine,
        workload=workload,
        plan=plan,
        repeats_done=done,
        summaries=summaries,
        targets=check(summaries),
        visits=tuple(visits),
    )


def _commit() -> str:
    """The commit measured, '' outside a git checkout."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        return subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
