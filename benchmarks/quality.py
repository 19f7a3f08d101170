"""`python -m benchmarks.quality`: does the served model draw what the held-out captions say?

The pictures come over HTTP through the official client; an independent judge reads their attributes back.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import openai
import typer
from PIL import Image
from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import Progress

from benchmarks.contenders import TRITON
from benchmarks.generate import Asking, NoPictureError, Pixels, generate_all
from benchmarks.machine import Machine, fingerprint
from benchmarks.processes import ServerError, ServerProcess, free_port
from benchmarks.targets import Target
from benchmarks.workload import describe
from wardrobe.evaluation import HeldOut, Scores, contact_sheet, heldout_captions, score
from wardrobe.judge import Judge, reading_of

_ROOT = Path(__file__).resolve().parent.parent
_MODEL = _ROOT / "wardrobe/weights/wardrobe"
_READY_LIMIT_S = 900.0  # the very first start compiles the model
_SHEET_PICTURES = 24


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One measurement, as it is stored."""

    started: str
    asking: Asking
    scores: Scores
    targets: tuple[Target, ...]
    machine: Machine


def check(scores: Scores) -> tuple[Target, ...]:
    """The promises about garments and backgrounds, in percent."""
    promised = (
        ("garment colour", scores.colour, 95.0),
        ("garment kind", scores.kind, 90.0),
        ("garment pattern", scores.pattern, 85.0),
        ("background", scores.background, 95.0),
    )
    return tuple(Target(name, 100 * share, limit, " %", at_least=True) for name, share, limit in promised)


def judged(judge: Judge, pictures: tuple[Pixels, ...], items: tuple[HeldOut, ...]) -> Scores:
    """What an independent classifier sees, against what was asked for."""
    readings = judge.read(np.stack(pictures))
    return score(readings, [reading_of(item.scene) for item in items])


@contextmanager
def served(base_url: str | None, runtime_directory: Path) -> Iterator[str]:
    """The running stack at `base_url`, or one of our own for as long as this is open. Raises ServerError."""
    if base_url is not None:
        yield base_url.rstrip("/")
        return
    port = free_port()
    command = TRITON.command(describe(_MODEL, runtime_directory), port)
    with (
        tempfile.TemporaryDirectory(prefix="eval-") as folder,
        ServerProcess(command, Path(folder) / "serve.log") as server,
    ):
        server.wait_until_ok(f"http://127.0.0.1:{port}/readyz", _READY_LIMIT_S)
        yield f"http://127.0.0.1:{port}"


def draw_all(base_url: str, items: tuple[HeldOut, ...], asking: Asking, console: Console) -> tuple[Pixels, ...]:
    """A picture a caption, with a progress bar."""
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"{len(items)} held-out captions", total=len(items))
        captions = [item.caption for item in items]
        return asyncio.run(generate_all(base_url, captions, asking, lambda: progress.advance(task)))


def main(
    *,
    base_url: Annotated[str | None, typer.Option(help="A running stack; without it one is started.")] = None,
    count: Annotated[int, typer.Option(help="How many of the 200 captions.", min=1, max=200)] = 200,
    at_once: Annotated[int, typer.Option(help="Requests in flight.", min=1)] = 8,
    steps: Annotated[int | None, typer.Option(help="Default: the model's.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Default: the model's.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Default: the model's.")] = None,
    runtime_directory: Annotated[Path, typer.Option(help="Where the compiled model lies.")] = _ROOT / "runtime",
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = _ROOT / "benchmarks/results",
    sheet: Annotated[Path, typer.Option(help="The contact sheet.")] = _ROOT / "docs/images/wardrobe-contact-sheet.png",
) -> None:
    """Score the embedded model on captions that training never saw. Exits with 1 where a promise is missed."""
    console = Console()
    items = heldout_captions()[:count]
    asking = Asking(_MODEL.name, at_once, steps, guidance, scheduler)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        judge = Judge.load()
        with console.status("waiting for the stack"), served(base_url, runtime_directory) as url:
            console.print(f"asking {url}", highlight=False)
            pictures = draw_all(url, items, asking, Console(stderr=True))
        scores = judged(judge, pictures, items)
    except (ServerError, NoPictureError, openai.OpenAIError, FileNotFoundError) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        raise typer.Exit(2) from error
    evaluation = Evaluation(started, asking, scores, check(scores), fingerprint())
    show(evaluation, console)
    path = store(evaluation, out)
    shown = [Image.fromarray(picture) for picture in pictures[:_SHEET_PICTURES]]
    sheet.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(shown, [item.caption for item in items[:_SHEET_PICTURES]]).save(sheet, optimize=True)
    console.print(f"written to {path} and {sheet}", highlight=False)
    raise typer.Exit(0 if all(target.passed for target in evaluation.targets) else 1)


def show(evaluation: Evaluation, console: Console) -> None:
    """Promises first, then what was not promised."""
    for target in evaluation.targets:
        console.print(target.line, style="green" if target.passed else "red", highlight=False)
    scores = evaluation.scores
    beside = ("hair_colour", "hair_style", "pose", "skin", "everything")
    words = ", ".join(f"{name.replace('_', ' ')} {100 * getattr(scores, name):.1f} %" for name in beside)
    console.print(f"beside: {words} of {scores.pictures} pictures", highlight=False)


def store(evaluation: Evaluation, folder: Path) -> Path:
    """Write `<date>-quality.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{evaluation.started[:10]}-quality.json"
    path.write_bytes(TypeAdapter(Evaluation).dump_json(evaluation, indent=1) + b"\n")
    return path


if __name__ == "__main__":
    typer.run(main)
