"""`python -m benchmarks.step_cache`: evaluations saved, images a second and likeness, by threshold."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.machine import fingerprint
from benchmarks.ours import publish
from benchmarks.quantisation.sheet import side_by_side
from benchmarks.step_cache.crowd import Crowd, Drawn, open_crowd
from benchmarks.step_cache.report import Way, measurement_of
from benchmarks.step_cache.result import markdown, save
from benchmarks.workload import describe
from wardrobe.evaluation import heldout_captions

_ROOT = Path(__file__).resolve().parents[2]
_SHEET_PICTURES = 6

# Fewer steps are what a step cache competes with.
_WAYS = (
    *(Way(8, 8, threshold) for threshold in (None, 0.2, 0.4, 0.6)),
    *(Way(8, steps) for steps in (7, 6)),
    *(Way(25, 25, threshold) for threshold in (None, 0.1, 0.15, 0.2, 0.3, 0.4)),
    *(Way(25, steps) for steps in (17, 12, 10)),
)


def main(
    *,
    captions: Annotated[int, typer.Option(help="How many of the 200 held-out captions.", min=8, max=200)] = 32,
    rounds: Annotated[int, typer.Option(help="How often every way is timed, in turn.", min=1)] = 2,
    model: Annotated[Path, typer.Option(help="The embedded model's folder.")] = _ROOT / "wardrobe/weights/wardrobe",
    runtime_directory: Annotated[Path, typer.Option(help="Where the compiled model is.")] = _ROOT / "runtime",
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = _ROOT / "benchmarks/results",
    sheet: Annotated[Path, typer.Option(help="The contact sheet.")] = _ROOT / "docs/images/step-cache.png",
    published: Annotated[bool, typer.Option(help="The model is published already.")] = False,
) -> None:
    """Draw the same pictures with every threshold, and with fewer steps."""
    console, began, started = Console(), time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    workload = describe(model, runtime_directory)
    if not published:
        publish(workload)
    texts = [item.caption for item in heldout_captions()[:captions]]
    most = max(way.steps for way in _WAYS)
    drawn: dict[Way, list[Drawn]] = {way: [] for way in _WAYS}
    with open_crowd(workload, texts) as crowd:
        crowd.draw(most, None)  # until the engine knows what its batches cost
        for number in range(rounds):
            _round(crowd, drawn)
            console.print(f"{time.monotonic() - began:4.0f} s  round {number + 1}", highlight=False)
    measurement = measurement_of(started, fingerprint(), workload.model, workload.scheduler, drawn)
    console.print(markdown(measurement), highlight=False, soft_wrap=True, markup=False)
    path = save(measurement, out)
    sheet.parent.mkdir(parents=True, exist_ok=True)
    shown = [(way.name, found[0].pictures) for way, found in drawn.items() if way.of_steps == most]
    side_by_side(shown, _SHEET_PICTURES).save(sheet, optimize=True)
    console.print(f"written to {path} and {sheet}", highlight=False)


def _round(crowd: Crowd, drawn: dict[Way, list[Drawn]]) -> None:
    for way, found in drawn.items():
        found.append(crowd.draw(way.steps, way.threshold))


if __name__ == "__main__":
    typer.run(main)
