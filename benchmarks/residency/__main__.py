"""`python -m benchmarks.residency`: five models, room for two, 300 requests; in-process and on real Triton."""

import asyncio
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter

from benchmarks.machine import fingerprint
from benchmarks.residency.result import Result, Soak, table
from benchmarks.residency.run import BackendKind, RuntimeKind, run_soak
from benchmarks.residency.soak import Plan
from families.embedded import embedded_models

_NAMES = ("one", "two", "three", "four", "five")
_RESULTS = Path(__file__).parents[1] / "results"
_BUILT = Path("runtime")
"""Where the demo and `make serve` build too."""
_RESULT = TypeAdapter(Result)
_SOAK = TypeAdapter(Soak)


def main(
    *,
    requests: Annotated[int, typer.Option(min=1, help="Requests of each soak.")] = 300,
    backend: Annotated[list[BackendKind] | None, typer.Option(help="Repeatable; default: each.")] = None,
    runtime: Annotated[RuntimeKind, typer.Option(help="What executes the models.")] = RuntimeKind.ONNXRUNTIME,
    model: Annotated[Path | None, typer.Option(help="Folder that is served five times; default: the embedded.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = _RESULTS,
    child: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Write `residency.json` and `residency.md`; exit status 1 where something was over the budget or stayed behind."""
    folder = model or embedded_models() / "wardrobe"
    kinds = backend or list(BackendKind)
    if child:
        sys.stdout.buffer.write(_SOAK.dump_json(asyncio.run(_soak(folder, kinds[0], runtime, requests))))
        return
    started = datetime.now(UTC).isoformat(timespec="seconds")
    machine, commit = fingerprint(), _commit()
    soaks = tuple(_in_a_child(folder, kind, runtime, requests) for kind in kinds)
    result = Result(started, commit, machine, soaks)
    out.mkdir(parents=True, exist_ok=True)
    (out / "residency.json").write_bytes(_RESULT.dump_json(result) + b"\n")
    (out / "residency.md").write_text(table(result), encoding="utf-8")
    typer.echo(table(result))
    raise typer.Exit(0 if all(soak.good for soak in soaks) else 1)


def _in_a_child(folder: Path, kind: BackendKind, runtime: RuntimeKind, requests: int) -> Soak:
    """In a process of its own: what one soak has loaded must not show in the memory of the next."""
    command = [sys.executable, "-m", "benchmarks.residency", "--child", "--backend", kind, "--runtime", runtime]
    command += ["--requests", str(requests), "--model", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return _SOAK.validate_json(done.stdout)


async def _soak(folder: Path, kind: BackendKind, runtime: RuntimeKind, requests: int) -> Soak:
    with tempfile.TemporaryDirectory(prefix="residency-") as place:
        plan = Plan(requests=requests)
        return await run_soak(folder, Path(place), kind, runtime, plan, names=_NAMES, built=_BUILT)


def _commit() -> str:
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=_RESULTS).stdout.strip()


if __name__ == "__main__":
    typer.run(main)
