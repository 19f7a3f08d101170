"""`python -m benchmarks.layers`: held-out pictures taken apart over HTTP, against the truth; and how fast that is."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import httpx
import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import Progress

from benchmarks.layers.pictures import contact_sheet
from benchmarks.layers.quality import quality_of, take_all_apart
from benchmarks.layers.result import Measurement, markdown, targets
from benchmarks.layers.speed import measure
from benchmarks.machine import fingerprint
from benchmarks.processes import ServerError
from benchmarks.quality import served
from wardrobe.evaluation.layers_score import heldout_layers

_ROOT = Path(__file__).resolve().parents[2]
_SHEET_CASES = 12


def main(
    *,
    count: Annotated[int, typer.Option(help="Held-out pictures.", min=1)] = 200,
    speed: Annotated[bool, typer.Option(help="Latency and throughput too; the machine should be quiet.")] = True,
    each: Annotated[int, typer.Option(help="Requests a user and round.", min=1)] = 3,
    base_url: Annotated[str | None, typer.Option(help="A running stack; default: one of our own.")] = None,
    runtime_directory: Annotated[Path, typer.Option(help="Of our own stack.")] = _ROOT / "runtime",
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = _ROOT / "benchmarks/results",
    pictures: Annotated[Path, typer.Option(help="Folder for the sheet.")] = _ROOT / "docs/images",
) -> None:
    """Exits with 1 where a promise is not kept."""
    console, started = Console(), datetime.now(UTC).isoformat(timespec="seconds")
    cases = heldout_layers(count)
    try:
        with served(base_url, runtime_directory) as url, Progress(console=console) as progress:
            done = partial(progress.advance, progress.add_task("pictures", total=count))
            apart = asyncio.run(take_all_apart(url, cases, done))
            loads = asyncio.run(measure(url, cases, each)) if speed else ()
    except (ServerError, httpx.HTTPError) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        raise typer.Exit(2) from error
    found = Measurement(started, quality_of(cases, apart), loads, fingerprint())
    for folder in (out, pictures):
        folder.mkdir(parents=True, exist_ok=True)
    stem = out / f"{started[:10]}-layers"
    stem.with_suffix(".json").write_bytes(TypeAdapter(Measurement).dump_json(found, indent=1) + b"\n")
    stem.with_suffix(".md").write_text(markdown(found), encoding="utf-8")
    contact_sheet(cases[:_SHEET_CASES], apart[:_SHEET_CASES]).save(pictures / "layers.png", optimize=True)
    console.print(markdown(found), highlight=False, markup=False, soft_wrap=True)
    kept = targets(found)
    for target in kept:
        console.print(target.line, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(0 if all(target.passed for target in kept) else 1)


if __name__ == "__main__":
    typer.run(main)
