"""`python -m benchmarks.export_memory`: how much memory writing a graph takes beside the weights it is made of.

Every case runs in a process of its own. The base is what a process holds after exporting a tiny model: the libraries,
the exporter. What the big model adds to the peak is the figure.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.memory import RESULTS, Memory, run_steps, write_table

CASES = (("fp32", "fp32"), ("fp16", "fp16"), ("fp32", "fp16"), ("fp16", "fp32"))
"""Type of the stored weights, and what the graph computes in."""


@dataclass(frozen=True, slots=True)
class MemoryUse(Memory):
    """`weights` is the larger of the stored file and the written one, which has `written` bytes."""

    written: int


def measure(stored: str, precision: str, width: int) -> MemoryUse:
    """Write and export a denoiser whose layers are up to `width` wide, in a process of its own."""
    line = run_steps("benchmarks.export_memory_child", ("weights", "export"), stored, precision, width)
    return MemoryUse(stored, precision, **json.loads(line))


def main(
    *,
    width: Annotated[int, typer.Option(help="Channels of the widest layers; 1024 makes about 100M parameters.")] = 1024,
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = RESULTS,
) -> None:
    """Peak memory of exporting large weights, by stored type and precision."""
    write_table(CASES, lambda stored, precision: measure(stored, precision, width), out / "export-memory.json")


if __name__ == "__main__":
    typer.run(main)
