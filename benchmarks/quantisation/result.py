"""What was measured, on disk and as tables."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.machine import Machine
from benchmarks.quantisation.builds import BuiltComponent
from benchmarks.quantisation.precisions import Way
from benchmarks.quantisation.timings import Round, TimingPlan
from benchmarks.stats import median, ratio
from wardrobe.evaluation import Scores


@dataclass(frozen=True, slots=True)
class Quality:
    """Pictures of fixed seeds: what the judge reads in them, and how like the reference's they are (None: its own)."""

    psnr_db: float | None
    ssim: float | None
    scores: Scores


@dataclass(frozen=True, slots=True)
class Row:
    """One precision. `quality` is None where nothing here computes its numbers."""

    recipe: str
    way: Way
    components: tuple[BuiltComponent, ...]
    quality: Quality | None


@dataclass(frozen=True, slots=True)
class Timed:
    """All rounds, and the machine they ran on."""

    started: str
    machine: Machine
    plan: TimingPlan
    rounds: tuple[Round, ...]


@dataclass(frozen=True, slots=True)
class Measurement:
    """Everything a reader needs to judge the figures. `timed` is None where nothing was timed."""

    started: str
    machine: Machine
    model_optimizer: str
    rows: tuple[Row, ...]
    timed: Timed | None


_MEASUREMENT, _TIMED = TypeAdapter(Measurement), TypeAdapter(Timed)


def save(measurement: Measurement, folder: Path) -> Path:
    """Write `quantisation.json` and the tables beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "quantisation.json"
    path.write_bytes(_MEASUREMENT.dump_json(measurement, indent=1) + b"\n")
    path.with_suffix(".md").write_text(markdown(measurement), encoding="utf-8")
    return path


def save_timed(timed: Timed, path: Path) -> None:
    """Keep the timings until the report is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_TIMED.dump_json(timed, indent=1) + b"\n")


def load_timed(path: Path) -> Timed | None:
    """The inverse of `save_timed`; None where there are none."""
    return _TIMED.validate_json(path.read_bytes()) if path.is_file() else None


def markdown(measurement: Measurement) -> str:
    """A table of speed, one of quality, one of each component's size, error and build."""
    machine, reference = measurement.machine, measurement.rows[0].recipe
    lines = [f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib:g} GiB.", ""]
    if measurement.timed is not None:
        lines += [*_speed(measurement, measurement.timed, reference), ""]
    return "\n".join([*lines, *_quality(measurement), "", *_components(measurement)]) + "\n"


def _speed(measurement: Measurement, timed: Timed, reference: str) -> list[str]:
    """Ratios are medians of the rounds' own: both figures of one come from the same minute."""
    users, count = timed.plan.users, timed.plan.rounds
    lines = _head("served by Triton", "files", "p50, 1 user", "to fp32", f"images/s, {users} users", "to fp32")
    for row in measurement.rows:
        own = {entry.number: entry for entry in timed.rounds if entry.recipe == row.recipe}
        beside = {entry.number: entry for entry in timed.rounds if entry.recipe == reference}
        size = f"{sum(part.size for part in row.components) / 1e6:.1f} MB"
        if not own:
            lines.append(_line([row.recipe, size, *["-"] * 4]))
            continue
        latency = median(entry.latency_s for entry in own.values())
        rate = median(entry.images_per_s for entry in own.values())
        slower = median(ratio(own[n].latency_s, beside[n].latency_s) or 0 for n in own)
        faster = median(ratio(own[n].images_per_s, beside[n].images_per_s) or 0 for n in own)
        cells = [f"{1e3 * (latency or 0):.0f} ms", f"{slower:.2f}x", f"{rate:.2f}", f"{faster:.2f}x"]
        lines.append(_line([row.recipe, size, *cells]))
    note = f"Over HTTP through the gateway, medians of {count} interleaved rounds. Files: of all three components."
    return [note, "", *lines]


def _quality(measurement: Measurement) -> list[str]:
    lines = _head("pictures", "by", "PSNR", "SSIM", "colour", "kind", "pattern", "background", "no mistake", "pictures")
    for row in measurement.rows:
        if row.quality is None:
            why = "needs a GPU" if row.way is Way.COMPILED else "not drawn"
            lines.append(_line([row.recipe, why, *["-"] * 8]))
            continue
        quality, scores = row.quality, row.quality.scores
        psnr = "-" if quality.psnr_db is None else f"{quality.psnr_db:.1f} dB"
        ssim = "-" if quality.ssim is None else f"{quality.ssim:.3f}"
        shares = (scores.colour, scores.kind, scores.pattern, scores.background, scores.everything)
        by = "Triton" if row.way is Way.SERVED else row.way.value
        cells = [by, psnr, ssim, *(f"{100 * share:.1f} %" for share in shares), str(scores.pictures)]
        lines.append(_line([row.recipe, *cells]))
    return ["PSNR and SSIM hold pictures of fixed seeds against fp32's; shares are the judge's.", "", *lines]


def _components(measurement: Measurement) -> list[str]:
    lines = _head("file", "component", "size", "relative L2", "its pictures", "built in", "numbers computed")
    for row in measurement.rows:
        for part in row.components:
            size, seconds = f"{part.size / 1e6:.2f} MB", f"{part.seconds:.0f} s"
            psnr = "identical" if part.psnr_db is None else f"{part.psnr_db:.1f} dB"
            cells = [part.component, size, f"{part.error:.1e}", psnr, seconds, part.executed.replace("|", "/")]
            lines.append(_line([row.recipe, *cells]))
    note = "Graphs against float32 torch, inputs from the middle of trajectories; PSNR of two pictures drawn with each."
    return [note, "", *lines]


def _head(first: str, *others: str) -> list[str]:
    return [_line([first, *others]), "|" + "|".join([" --- "] + [" ---: "] * len(others)) + "|"]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
