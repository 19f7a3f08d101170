"""`python -m benchmarks.tryon`: both try-on routes on held-out pairs, against the truth; and how fast they are."""

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

from benchmarks.machine import fingerprint
from benchmarks.processes import ServerError
from benchmarks.quality import served
from benchmarks.tryon.pictures import contact_sheet, stage_plot
from benchmarks.tryon.quality import dress_all, quality_of
from benchmarks.tryon.result import Measurement, markdown, targets
from benchmarks.tryon.speed import measure
from wardrobe.evaluation.tryon import heldout_cases
from wardrobe.evaluation.tryon_score import resized_into, score_tryon
from wardrobe.judge import Judge

_ROOT = Path(__file__).resolve().parents[2]
_SHEET_CASES = 20


def main(
    *,
    count: Annotated[int, typer.Option(help="Held-out pairs.", min=1)] = 200,
    speed: Annotated[bool, typer.Option(help="Latency and throughput too; the machine should be quiet.")] = True,
    each: Annotated[int, typer.Option(help="Requests a user and round.", min=1)] = 4,
    base_url: Annotated[str | None, typer.Option(help="A running stack; default: one of our own.")] = None,
    runtime_directory: Annotated[Path, typer.Option(help="Of our own stack.")] = _ROOT / "runtime",
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = _ROOT / "benchmarks/results",
    pictures: Annotated[Path, typer.Option(help="Folder for the sheet and the plot.")] = _ROOT / "docs/images",
) -> None:
    """Exits with 1 where a promise is not kept."""
    console, started = Console(), datetime.now(UTC).isoformat(timespec="seconds")
    cases, judge = heldout_cases(count), Judge.load()
    try:
        with served(base_url, runtime_directory) as url, Progress(console=console) as progress:
            dressed = []
            for mode in ("fast", "premium"):
                done = partial(progress.advance, progress.add_task(mode, total=count))
                dressed.append(asyncio.run(dress_all(url, mode, cases, done)))
            loads = asyncio.run(measure(url, cases, each)) if speed else ()
    except (ServerError, httpx.HTTPError) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        raise typer.Exit(2) from error
    fast, premium = dressed
    baseline = resized_into(cases)
    found = Measurement(
        started,
        quality_of(cases, fast, judge),
        quality_of(cases, premium, judge),
        score_tryon(cases, baseline, judge),
        loads,
        fingerprint(),
    )
    for folder in (out, pictures):
        folder.mkdir(parents=True, exist_ok=True)
    stem = out / f"{started[:10]}-tryon"
    stem.with_suffix(".json").write_bytes(TypeAdapter(Measurement).dump_json(found, indent=1) + b"\n")
    stem.with_suffix(".md").write_text(markdown(found), encoding="utf-8")
    rows = [(one, quick.pixels, best.pixels) for one, quick, best in zip(baseline, fast, premium, strict=True)]
    contact_sheet(cases[:_SHEET_CASES], rows[:_SHEET_CASES]).save(pictures / "try-on.png", optimize=True)
    if loads:
        stage_plot(loads, pictures / "try-on-stages.png")
    console.print(markdown(found), highlight=False, markup=False, soft_wrap=True)
    kept = targets(found)
    for target in kept:
        console.print(target.line, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(0 if all(target.passed for target in kept) else 1)


if __name__ == "__main__":
    typer.run(main)
