"""A measurement of the layers' route as it is stored and told."""

from dataclasses import dataclass

from benchmarks.crowds import Load, table
from benchmarks.layers.quality import LayersQuality
from benchmarks.machine import Machine
from benchmarks.targets import Target
from wardrobe.evaluation.layers_score import SHEETS

_MEASURED = ("person", *SHEETS[1:])


@dataclass(frozen=True, slots=True)
class Measurement:
    """`loads` empty: speed was not measured."""

    started: str
    quality: LayersQuality
    loads: tuple[Load, ...]
    machine: Machine


def targets(found: Measurement) -> tuple[Target, ...]:
    """What is promised."""
    quality = found.quality
    overlaps = [
        Target(f"soft IoU: {name}", quality.scores.of(name).soft_iou, 0.90, "", at_least=True) for name in _MEASURED
    ]
    return (
        Target("recomposition, worst picture", quality.psnr_worst, 30, " dB", at_least=True),
        *overlaps,
        Target("layer order right", 100 * quality.scores.order, 95, " %", at_least=True),
    )


def markdown(found: Measurement) -> str:
    """The tables."""
    quality = found.quality
    lines = [
        f"{quality.scores.cases} held-out pictures in five layers.", "",
        "| layer | pictures | soft IoU of alpha | L1 of RGB inside alpha |", "|---|---:|---:|---:|",
    ]  # fmt: skip
    for sheet in (quality.scores.person, *quality.scores.sheets):
        lines.append(f"| {sheet.name} | {sheet.cases} | {sheet.soft_iou:.3f} | {sheet.colour_error:.4f} |")
    lines += [
        "",
        f"Layer order right: {100 * quality.scores.order:.1f} %. "
        f"Recomposition: {quality.psnr_median:.1f} dB (median), {quality.psnr_worst:.1f} dB (worst). "
        f"Of pixels that one layer covers wholly, {100 * quality.exact:.2f} % are the picture's own.",
    ]
    return "\n".join([*lines, *table("layers", found.loads)]) + "\n"
