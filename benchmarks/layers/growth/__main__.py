"""`python -m benchmarks.layers.growth`: latency and memory by layers and size, and GGUF against bfloat16."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console

from benchmarks.layers.growth.figures import Measurement
from benchmarks.layers.growth.jobs import ROOT, ChildFailed
from benchmarks.layers.growth.measure import CASES, USUAL, grow, store
from benchmarks.layers.growth.plot import draw
from benchmarks.layers.growth.result import markdown
from benchmarks.machine import fingerprint
from export.publishing.options import Runtime
from families.catalog import load_source

_RUNTIMES = (Runtime.ONNXRUNTIME, Runtime.TORCH)
_QUICK_CASES = (CASES[0], USUAL, CASES[-3])


def main(
    *,
    model: Annotated[Path, typer.Option(help="A layered model's folder.")] = ROOT / "wardrobe/weights/wardrobe-layers",
    runtime: Annotated[Runtime, typer.Option(help="Of the growth; GGUF is torch's.")] = Runtime.ONNXRUNTIME,
    repeats: Annotated[int, typer.Option(help="Calls of each kind, of which the median counts.", min=1)] = 5,
    pictures: Annotated[int, typer.Option(help="Held-out pictures for GGUF's error.", min=1)] = 8,
    quick: Annotated[bool, typer.Option(help="Three cases, one repeat, one picture: does all of it work?")] = False,
    runtime_directory: Annotated[Path, typer.Option(help="Where graphs were built, or are.")] = ROOT / "runtime",
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = ROOT / "benchmarks/results",
    images: Annotated[Path, typer.Option(help="Folder for the plot.")] = ROOT / "docs/images",
) -> None:
    """The machine should be quiet."""
    if runtime not in _RUNTIMES:
        raise typer.BadParameter(f"{runtime} is not one of {', '.join(_RUNTIMES)}", param_hint="--runtime")
    console, started = Console(), datetime.now(UTC).isoformat(timespec="seconds")
    cases = _QUICK_CASES if quick else CASES
    repeats, pictures = (1, 1) if quick else (repeats, pictures)
    machine = fingerprint()

    def say(text: str) -> None:
        console.print(text, highlight=False)

    try:
        with tempfile.TemporaryDirectory(prefix="layers-growth-") as scratch:
            place = Path(scratch)
            grown = grow(model, cases, place, say, repeats=repeats, runtime=runtime, built=runtime_directory)
            stored = store(model, USUAL, place, say, repeats=repeats, pictures=pictures)
    except ChildFailed as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        raise typer.Exit(2) from error
    manifest = load_source(model).manifest
    found = Measurement(
        started, manifest.name, runtime.value, grown, stored, pictures, manifest.defaults.steps, machine
    )
    out.mkdir(parents=True, exist_ok=True)
    stem = out / f"{started[:10]}-layers-growth"
    stem.with_suffix(".json").write_bytes(TypeAdapter(Measurement).dump_json(found, indent=1) + b"\n")
    stem.with_suffix(".md").write_text(markdown(found), encoding="utf-8")
    draw(grown, USUAL, images / "layers-growth.png")
    console.print(markdown(found), highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
