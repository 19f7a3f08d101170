"""`python -m benchmarks.edits`: people in other clothes, by masks over HTTP.

Held-out people are rendered with their garments' exact masks, and `POST /v1/images/edits` draws other garments there.
An independent judge reads what became of it, and every pixel outside of a mask is compared.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import openai
import typer
from PIL import Image, ImageFilter
from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import track

from benchmarks.machine import Machine, fingerprint
from benchmarks.processes import ServerError
from benchmarks.quality import served
from triptych.demo_sheet import draw_sheet
from wardrobe.evaluation import heldout_captions
from wardrobe.judge import Judge, Reading, reading_of
from wardrobe.world.attributes import Colour, Part, Pattern
from wardrobe.world.captions import caption
from wardrobe.world.render import render
from wardrobe.world.scene import Scene, Top

_ROOT = Path(__file__).resolve().parent.parent
_GARMENTS = 3
"""Other garments a person."""
_GROWN = 2
"""Pixels around the garment that are drawn anew with it."""
_HATCH = 4
_GARMENT = ("top_kind", "top_colour", "top_pattern")

Pixels = npt.NDArray[np.uint8]
"""[128, 128, 3]."""
Mask = npt.NDArray[np.bool_]
"""[128, 128]."""


@dataclass(frozen=True, slots=True)
class Person:
    """A held-out scene, its picture, where its upper garment is, and the same scene in other garments."""

    scene: Scene
    picture: Pixels
    edited: Mask
    wanted: tuple[Scene, ...]


@dataclass(frozen=True, slots=True)
class EditScores:
    """Shares of `pictures`: the new garment is as asked; all else reads as before. `pixels_changed`: outside masks."""

    pictures: int
    garment_kind: float
    garment_colour: float
    garment_pattern: float
    everything_else: float
    pixels_changed: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """As it is stored."""

    started: str
    scores: EditScores
    machine: Machine


def main(
    *,
    base_url: Annotated[str | None, typer.Option(help="A running stack; without it one is started.")] = None,
    count: Annotated[int, typer.Option(help="How many people.", min=1, max=200)] = 32,
    runtime_directory: Annotated[Path, typer.Option(help="Where the compiled model lies.")] = _ROOT / "runtime",
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = _ROOT / "benchmarks/results",
    sheet: Annotated[Path, typer.Option(help="The picture of the first eight.")] = _ROOT / "docs/images/edits.png",
) -> None:
    """Exits with 1 where a pixel outside of a mask has changed."""
    console = Console()
    people = _people(count)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        judge = Judge.load()
        with served(base_url, runtime_directory) as url:
            client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=120)
            drawn = [_dress(client, person, seed) for seed, person in enumerate(track(people, console=console))]
    except (ServerError, openai.OpenAIError, FileNotFoundError) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        raise typer.Exit(2) from error
    scores = _score(judge, people, drawn)
    path = out / f"{started[:10]}-edits.json"
    out.mkdir(parents=True, exist_ok=True)
    path.write_bytes(TypeAdapter(Measurement).dump_json(Measurement(started, scores, fingerprint()), indent=1) + b"\n")
    sheet.parent.mkdir(parents=True, exist_ok=True)
    shown = list(zip(people, drawn, strict=True))[:8]
    draw_sheet([_row(person, pictures) for person, pictures in shown]).save(sheet, optimize=True)
    for field in fields(scores):
        console.print(f"{field.name.replace('_', ' ')}: {getattr(scores, field.name):g}", highlight=False)
    console.print(f"written to {path} and {sheet}", highlight=False)
    raise typer.Exit(1 if scores.pixels_changed else 0)


def _people(count: int) -> list[Person]:
    """Captions that training never saw; the other garments are drawn by a fixed seed."""
    rng = np.random.default_rng(0)
    people = []
    for item in heldout_captions()[:count]:
        drawn = render(item.scene)
        part = Part.DRESS if item.scene.bottoms is None else Part.TOP
        garment = Image.fromarray(drawn.mask(part).astype(np.uint8))
        edited = np.asarray(garment.filter(ImageFilter.MaxFilter(2 * _GROWN + 1))) > 0
        wanted = tuple(replace(item.scene, top=_other(item.scene.top, rng)) for _ in range(_GARMENTS))
        people.append(Person(item.scene, drawn.image, edited, wanted))
    return people


def _other(top: Top, rng: np.random.Generator) -> Top:
    """The same cut in another colour and pattern."""
    colours = [colour for colour in Colour if colour is not top.colour]
    patterns = [pattern for pattern in Pattern if pattern is not top.pattern]
    return Top(top.kind, colours[rng.integers(len(colours))], patterns[rng.integers(len(patterns))])


def _dress(client: openai.OpenAI, person: Person, seed: int) -> list[Pixels]:
    """The person in each of the other garments."""
    mask = np.zeros((*person.edited.shape, 4), dtype=np.uint8)
    mask[..., 3] = np.where(person.edited, 0, 255)
    pictures = []
    for scene in person.wanted:
        answer = client.images.edit(
            image=("person.png", _png(person.picture)),
            mask=("mask.png", _png(mask)),
            prompt=caption(scene),
            model="wardrobe",
            response_format="b64_json",
            extra_body={"seed": seed},
        )
        data = base64.b64decode((answer.data or [])[0].b64_json or "")
        pictures.append(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    return pictures


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _score(judge: Judge, people: Sequence[Person], drawn: Sequence[list[Pixels]]) -> EditScores:
    readings = judge.read(np.stack([picture for pictures in drawn for picture in pictures]))
    wanted = [reading_of(scene) for person in people for scene in person.wanted]
    pairs = list(zip(readings, wanted, strict=True))
    others = [field.name for field in fields(Reading) if field.name not in _GARMENT]

    def share(*attributes: str) -> float:
        right = [all(getattr(seen, name) == getattr(asked, name) for name in attributes) for seen, asked in pairs]
        return sum(right) / len(right)

    changed = sum(
        int((picture != person.picture)[~person.edited].any(axis=-1).sum())
        for person, pictures in zip(people, drawn, strict=True)
        for picture in pictures
    )
    return EditScores(
        pictures=len(pairs),
        garment_kind=share("top_kind"),
        garment_colour=share("top_colour"),
        garment_pattern=share("top_pattern"),
        everything_else=share(*others),
        pixels_changed=changed,
    )


def _row(person: Person, pictures: list[Pixels]) -> tuple[str, tuple[Image.Image, ...]]:
    """The person, what is masked, and the other garments."""
    rows, columns = np.indices(person.edited.shape)
    hatched = person.picture.copy()
    hatched[person.edited] = np.where(((rows + columns) // _HATCH % 2)[person.edited][:, None], 235, 150)
    garments = ", ".join(f"{scene.top.colour} {scene.top.pattern}" for scene in person.wanted)
    text = f"{person.scene.top.colour} {person.scene.top.pattern} {person.scene.top.kind}, its mask, then: {garments}"
    return text, tuple(Image.fromarray(picture) for picture in (person.picture, hatched, *pictures))


if __name__ == "__main__":
    typer.run(main)
