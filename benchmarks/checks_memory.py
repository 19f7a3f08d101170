"""`python -m benchmarks.checks_memory`: how much memory checking a graph takes beside the weights it is held against.

As `benchmarks.export_memory`: every case in a process of its own, and what a big denoiser adds to the peak of a process
that has checked a tiny one. Weights are counted in float32, which torch compares in.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.memory import RESULTS, Memory, run_steps, write_table

CASES = (("fp32", "fp32"), ("fp16", "fp16"))
"""Type of the stored weights, and what the graph computes in."""


def measure(stored: str, precision: str, width: int) -> Memory:
    """Write, export and check a denoiser whose layers are up to `width` wide."""
    line = run_steps("benchmarks.checks_memory_child", ("weights", "export", "check"), stored, precision, width)
    return Memory(stored, precision, **json.loads(line))


def main(
    *,
    width: Annotated[int, typer.Option(help="Channels of the widest layers; 1024 makes about 150M parameters.")] = 1024,
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = RESULTS,
) -> None:
    """Peak memory of checking a graph, by stored type and precision."""
    write_table(CASES, lambda stored, precision: measure(stored, precision, width), out / "checks-memory.json")


if __name__ == "__main__":
    typer.run(main)
