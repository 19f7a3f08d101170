"""A run on disk."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.figures import Visit
from benchmarks.machine import Machine
from benchmarks.summary import Summary
from benchmarks.targets import Target
from benchmarks.workload import Plan, Workload


@dataclass(frozen=True, slots=True)
class Run:
    """Everything a reader needs to judge the figures: raw visits, medians, settings and machine."""

    started: str
    seconds: float
    commit: str
    machine: Machine
    workload: Workload
    plan: Plan
    repeats_done: int
    summaries: tuple[Summary, ...]
    targets: tuple[Target, ...]
    visits: tuple[Visit, ...]


_RUN = TypeAdapter(Run)
_CHECKOUT = Path(__file__).resolve().parent.parent


def save(run: Run, folder: Path) -> Path:
    """Write `<date>-<machine>.json` into the folder; an earlier run of that day is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run.started[:10]}-{run.machine.slug}.json"
    # Relative to the checkout: results are read on other machines.
    path.write_bytes(_RUN.dump_json(run, indent=1).replace(f"{_CHECKOUT}/".encode(), b"") + b"\n")
    return path


def load(path: Path) -> Run:
    """The inverse of `save`."""
    return _RUN.validate_json(path.read_bytes())
