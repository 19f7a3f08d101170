"""What is running where: one small JSON file in the runtime directory, for operators, tests and benchmarks."""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunState:
    """A running `triptych serve`. The Triton fields are None without Triton, or until it is ready."""

    gateway_url: str
    gateway_pid: int
    triton_pid: int | None = None
    triton_grpc: str | None = None
    triton_http_url: str | None = None
    triton_metrics_url: str | None = None


def state_file(runtime_directory: Path) -> Path:
    """Where the state of the latest `serve` lies."""
    return runtime_directory / "serve.json"


def write_state(runtime_directory: Path, state: RunState) -> None:
    """Replace the file at once, so that a reader sees the old or the new state, never half of one."""
    runtime_directory.mkdir(parents=True, exist_ok=True)
    file = state_file(runtime_directory)
    draft = file.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(dataclasses.asdict(state), indent=2) + "\n", encoding="utf-8")
    draft.replace(file)


def read_state(runtime_directory: Path) -> RunState:
    """The state of the latest `serve`. Raises FileNotFoundError when none has run."""
    return RunState(**json.loads(state_file(runtime_directory).read_text(encoding="utf-8")))


def remove_state(runtime_directory: Path) -> None:
    """The run has ended."""
    state_file(runtime_directory).unlink(missing_ok=True)
