"""Runs items step by step and keeps the results of all runs in one file."""

import datetime
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from benchmarks.full_size.items import Item
from benchmarks.full_size.outcome import EngineStep, ErrorStep, ExportStep, Outcome, Report
from benchmarks.machine import fingerprint

_REPORT = TypeAdapter(Report)
_ROOT = Path(__file__).resolve().parents[2]
_LINES = 3
Record = TypeVar("Record", ExportStep, ErrorStep, EngineStep)


class StepFailed(Exception):  # noqa: N818 - it is an event of a run, told in its report
    """A child process ended badly; the message has its last lines."""


def run_item(item: Item, scratch: Path | None, say: Callable[[str], None]) -> Outcome:
    """All steps of an item; a failure ends it and is told in the outcome. What was written is removed."""
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    commit = _commit()
    folder = Path(tempfile.mkdtemp(prefix=f"full-size-{item.key}-", dir=scratch))
    export: ExportStep | None = None
    error: ErrorStep | None = None
    engine: EngineStep | None = None
    problem = ""
    try:
        say(f"{item.key}: to ONNX")
        export = _step(item, "export", folder, ExportStep)
        say(f"{item.key}: torch's answer")
        _child(item, "reference", folder)
        say(f"{item.key}: ONNX Runtime's answer")
        error = _step(item, "error", folder, ErrorStep)
        if item.ranges is not None:
            say(f"{item.key}: to an engine")
            engine = _step(item, "engine", folder, EngineStep)
    except StepFailed as failure:
        problem = str(failure)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Outcome(item.key, item.title, item.precision.value, started, commit, export, error, engine, problem)


def merge(outcomes: list[Outcome], order: list[str], path: Path) -> Report:
    """The file's outcomes with these in place of their namesakes, in `order`; written back."""
    former = _REPORT.validate_json(path.read_bytes()).outcomes if path.is_file() else ()
    by_key = {outcome.key: outcome for outcome in (*former, *outcomes)}
    report = Report(
        machine=fingerprint(),
        outcomes=tuple(by_key[key] for key in order if key in by_key),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_REPORT.dump_json(report, indent=1) + b"\n")
    return report


def _step(item: Item, step: str, folder: Path, kind: type[Record]) -> Record:
    _child(item, step, folder)
    return TypeAdapter(kind).validate_json((folder / f"{step}.json").read_bytes())


def _child(item: Item, step: str, folder: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.full_size.child", item.key, step, str(folder)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = " | ".join(done.stderr.strip().splitlines()[-_LINES:])
        raise StepFailed(f"{step}: exit status {done.returncode}: {last.replace(str(folder) + '/', '')}")


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
