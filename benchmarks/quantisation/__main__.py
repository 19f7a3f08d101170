"""`python -m benchmarks.quantisation`: the embedded model in every precision: size, speed served by Triton, quality."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.machine import fingerprint
from benchmarks.quantisation.builds import Built, build
from benchmarks.quantisation.pictures import PictureStore, Tell
from benchmarks.quantisation.precisions import RECIPES, Way, way_of
from benchmarks.quantisation.report import measurement_of
from benchmarks.quantisation.result import Timed, load_timed, markdown, save, save_timed
from benchmarks.quantisation.sheet import side_by_side
from benchmarks.quantisation.stack import Deployment, deploy, serving
from benchmarks.quantisation.timings import FULL, QUICK, TimingPlan, time_all
from families.catalog import load_source
from wardrobe.evaluation import heldout_captions

_ROOT = Path(__file__).resolve().parents[2]
_SHEET_PICTURES = 8
_QUICK_CAPTIONS = 8


class Phase(StrEnum):
    """What may be done by itself: what was drawn and timed before is kept on disk."""

    PICTURES = "pictures"
    TIMINGS = "timings"
    REPORT = "report"


def main(
    *,
    quick: Annotated[bool, typer.Option(help="Does everything work? Figures mean little and are not kept.")] = False,
    only: Annotated[list[Phase] | None, typer.Option(help="Phase, repeatable; default: all, one by one.")] = None,
    captions: Annotated[int, typer.Option(help="How many of the 200 held-out captions.", min=1, max=200)] = 200,
    simulated: Annotated[int, typer.Option(help="How many where torch computes: ten times as long.", min=1)] = 64,
    base_url: Annotated[
        str | None, typer.Option(help="A stack that `python -m benchmarks.quantisation.serve` keeps up.")
    ] = None,
    model: Annotated[Path, typer.Option(help="The embedded model's folder.")] = _ROOT / "wardrobe/weights/wardrobe",
    runtime_directory: Annotated[Path, typer.Option(help="For artefacts and pictures.")] = _ROOT / "runtime",
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = _ROOT / "benchmarks/results",
    sheet: Annotated[Path, typer.Option(help="The contact sheet.")] = _ROOT / "docs/images/quantisation.png",
) -> None:
    """Build every shipped recipe, draw the same pictures with each, time those that Triton serves here."""
    console, began = Console(), time.monotonic()

    def tell(doing: str) -> None:
        console.print(f"{time.monotonic() - began:4.0f} s  {doing}", highlight=False)

    source, phases, folder = load_source(model), set(only or Phase), runtime_directory / "quantisation"
    items = heldout_captions()[: _QUICK_CAPTIONS if quick else captions]
    store = PictureStore(folder, [item.caption for item in items])
    builds = []
    for name in RECIPES:
        tell(f"building {name}")
        builds.append(build(name, source, runtime_directory))
    timed = None
    if phases & {Phase.PICTURES, Phase.TIMINGS}:
        served = [built for built in builds if way_of(built.recipe) is Way.SERVED]
        asked = served if Phase.PICTURES in phases else []
        plan = (QUICK if quick else FULL) if Phase.TIMINGS in phases else None
        missing = [built for built in asked if store.lacks(built, len(items))]
        if missing or plan is not None:
            tell("waiting for the stack")
            deployment = deploy(served, model, folder)
            timed = asyncio.run(_visit(_at(base_url, deployment), deployment, _Work(missing, store, plan), tell))
    if Phase.PICTURES in phases:
        for built in builds:
            if way_of(built.recipe) is Way.SIMULATED and store.lacks(built, simulated):
                store.simulate(built, source, simulated, tell)
    kept = folder / "timings.json"
    if timed is not None and not quick:
        save_timed(timed, kept)
    if Phase.REPORT in phases:
        measurement = measurement_of(builds, store, items, timed if quick else load_timed(kept))
        console.print(markdown(measurement), highlight=False, soft_wrap=True, markup=False)
        if not quick:
            path = save(measurement, out)
            drawn = [(built.recipe.name, store.load(built)) for built in builds]
            sheet.parent.mkdir(parents=True, exist_ok=True)
            rows = [(name, pictures) for name, pictures in drawn if pictures is not None]
            side_by_side(rows, _SHEET_PICTURES).save(sheet, optimize=True)
            console.print(f"written to {path} and {sheet}", highlight=False)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is asked of the stack: pictures of `missing`, and timings where there is a plan."""

    missing: Sequence[Built]
    store: PictureStore
    plan: TimingPlan | None


async def _visit(
    stack: AbstractAsyncContextManager[str], deployment: Deployment, work: _Work, tell: Tell
) -> Timed | None:
    async with stack as url:
        for built in work.missing:
            await work.store.draw(built, url, tell)
        if work.plan is None:
            return None
        machine, started = fingerprint(), datetime.now(UTC).isoformat(timespec="seconds")
        rounds = await time_all(url, deployment.models, deployment.names, work.plan, tell)
    return Timed(started, machine, work.plan, rounds)


@asynccontextmanager
async def _at(base_url: str | None, deployment: Deployment) -> AsyncIterator[str]:
    """The stack that runs already, or one of our own."""
    if base_url is not None:
        yield base_url.rstrip("/")
        return
    async with serving(deployment) as url:
        yield url


if __name__ == "__main__":
    typer.run(main)
