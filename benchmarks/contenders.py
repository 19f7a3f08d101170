"""Who takes part."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workload import Workload


@dataclass(frozen=True, slots=True)
class Server:
    """A contender behind HTTP: a module to run, with `{port}`, `{model}` and `{runtime}` in its arguments."""

    key: str
    label: str
    module: str
    arguments: tuple[str, ...]
    has_step_engine: bool = False

    def command(self, workload: Workload, port: int) -> list[str]:
        """How to start it."""
        values = {
            "port": str(port),
            "model": str(workload.model_folder),
            "runtime": str(workload.runtime_directory),
        }
        return [sys.executable, "-m", self.module, *(argument.format(**values) for argument in self.arguments)]


@dataclass(frozen=True, slots=True)
class InProcess:
    """A contender without HTTP: a module that takes a job file. It is visited by at most `most_users` users."""

    key: str
    label: str
    module: str
    most_users: int

    def command(self, job: Path, result: Path) -> list[str]:
        """How to start it."""
        return [sys.executable, "-m", self.module, "--job", str(job), "--result", str(result)]


_PEER = ("--model", "{model}", "--port", "{port}")
_SERVE = ("serve", "--port", "{port}", "--runtime-directory", "{runtime}")

Contender = Server | InProcess

DIFFUSERS = InProcess("diffusers", "diffusers in a loop", "benchmarks.inproc.bare", most_users=1)
FASTAPI = Server("fastapi", "FastAPI + diffusers", "benchmarks.peers.locked_server", _PEER)
LITSERVE = Server(
    "litserve",
    "LitServe, batching",
    "benchmarks.peers.batching_server",
    _PEER,
)
ENGINE = InProcess("engine", "Triptych engine alone", "benchmarks.inproc.direct", most_users=8)
INPROCESS = Server("inprocess", "Triptych in-process", "triptych", (*_SERVE, "--backend", "inprocess"), True)
TRITON = Server("triton", "Triptych on Triton", "triptych", (*_SERVE, "--backend", "triton"), True)

CONTENDERS: tuple[Contender, ...] = (DIFFUSERS, FASTAPI, LITSERVE, ENGINE, INPROCESS, TRITON)
OURS = frozenset({ENGINE.key, INPROCESS.key, TRITON.key})
"""They need the model published."""


def chosen(keys: list[str]) -> tuple[Contender, ...]:
    """The named contenders, all of them when none is named. Raises ValueError with the known keys."""
    known = {contender.key: contender for contender in CONTENDERS}
    if unknown := set(keys) - set(known):
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    return tuple(contender for contender in CONTENDERS if not keys or contender.key in keys)


def rotated(contenders: tuple[Contender, ...], repeat: int) -> tuple[Contender, ...]:
    """The order of one repeat: everybody moves up, so that drift of the machine hits all alike."""
    shift = repeat % len(contenders)
    return contenders[shift:] + contenders[:shift]


def environment(workload: Workload) -> dict[str, str]:
    """Tells Triptych which models to serve; the peers do not read it."""
    return {"TRIPTYCH_MODELS__DIRECTORIES": json.dumps([str(workload.model_folder.parent)])}
