"""What was measured, on disk and as a table."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.machine import Machine


@dataclass(frozen=True, slots=True)
class Row:
    """One way to draw pictures of `of_steps` steps: with a threshold, or with fewer `steps`; `how` says it in words.

    `saved`: share of the evaluations. `images_per_s` is the median of the rounds, and `faster` that of the rounds' own
    ratios to every step evaluated. `psnr_db` and `ssim` are against those pictures.
    """

    of_steps: int
    steps: int
    threshold: float | None
    how: str
    saved: float
    images_per_s: float
    faster: float
    psnr_db: float
    ssim: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """Everything a reader needs to judge the figures."""

    started: str
    machine: Machine
    model: str
    scheduler: str
    captions: int
    rounds: int
    rows: tuple[Row, ...]


_MEASUREMENT = TypeAdapter(Measurement)


def save(measurement: Measurement, folder: Path) -> Path:
    """Write `step-cache.json` and the table beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "step-cache.json"
    path.write_bytes(_MEASUREMENT.dump_json(measurement, indent=1) + b"\n")
    path.with_suffix(".md").write_text(markdown(measurement), encoding="utf-8")
    return path


def markdown(measurement: Measurement) -> str:
    """A row a way, and first what all are held against."""
    machine = measurement.machine
    lines = [
        f"`{measurement.model}`, {measurement.scheduler}, {measurement.captions} images in flight at once on "
        f"{machine.cpu}, {machine.cores} cores; medians of {measurement.rounds} rounds.",
        "",
        "| steps | how | evaluations saved | images/s | ratio | PSNR | SSIM |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    return "\n".join([*lines, *map(_line, measurement.rows)]) + "\n"


def _line(row: Row) -> str:
    exact = row.threshold is None and row.steps == row.of_steps
    likeness = ["-", "-"] if exact else [f"{row.psnr_db:.1f} dB", f"{row.ssim:.3f}"]
    cells = [
        str(row.of_steps),
        row.how,
        f"{100 * row.saved:.0f} %",
        f"{row.images_per_s:.2f}",
        f"{row.faster:.2f}x",
        *likeness,
    ]
    return "| " + " | ".join(cells) + " |"
