"""A measurement of the try-on routes as it is stored and told."""

from dataclasses import dataclass

from benchmarks.crowds import Load, table
from benchmarks.machine import Machine
from benchmarks.targets import Target
from benchmarks.tryon.quality import ModeQuality
from wardrobe.evaluation.tryon_score import TryOnScores

_LESS_IS_BETTER = ("colour_error", "pixel_error")
_NAMES = {
    "similarity": "SSIM, garment",
    "mask_similarity": "SSIM, mask",
    "colour_error": "CIEDE2000 of the mean colours",
    "pixel_error": "CIEDE2000, mean of the pixels",
    "kind": "kind right",
    "colour": "colour right",
    "pattern": "pattern right",
    "sleeves": "sleeves right where they change",
    "everything": "no mistake in the whole picture",
}


@dataclass(frozen=True, slots=True)
class Measurement:
    """`baseline`: the garment resized into its mask. `loads` empty: speed was not measured."""

    started: str
    fast: ModeQuality
    premium: ModeQuality
    baseline: TryOnScores
    loads: tuple[Load, ...]
    machine: Machine


def targets(found: Measurement) -> tuple[Target, ...]:
    """What is promised of both modes, and of premium beside fast."""
    promises: list[Target] = []
    for name, mode in (("fast", found.fast), ("premium", found.premium)):
        scores = mode.scores
        promises += [
            Target(f"{name}: SSIM of the garment", scores.similarity, 0.85, "", at_least=True),
            Target(f"{name}: pattern kept", 100 * scores.pattern, 90, " %", at_least=True),
            Target(f"{name}: pixels changed outside of masks", mode.outside_changed, 0, ""),
            Target(f"{name}: faces changed", mode.faces_changed, 0, ""),
        ]
    promises += _gains("premium beside fast", found.fast.scores, found.premium.scores)
    promises += _gains("fast beside the baseline", found.baseline, found.fast.scores)
    return tuple(promises)


def markdown(found: Measurement) -> str:
    """The tables."""
    columns = (found.fast.scores, found.premium.scores, found.baseline)
    lines = [
        f"{found.fast.scores.cases} held-out pairs.", "",
        "| | fast | premium | garment resized into the mask |", "|---|---:|---:|---:|",
    ]  # fmt: skip
    for field, name in _NAMES.items():
        lines.append(f"| {name} | " + " | ".join(_told(field, getattr(scores, field)) for scores in columns) + " |")
    for name, values in (
        ("pixels changed outside of the masks", (found.fast.outside_changed, found.premium.outside_changed)),
        ("faces changed", (found.fast.faces_changed, found.premium.faces_changed)),
        ("category mistaken", (found.fast.wrong_category, found.premium.wrong_category)),
    ):
        lines.append(f"| {name} | {values[0]} | {values[1]} | |")
    if found.premium.rank_correlation is not None:
        lines += ["", f"Premium's own scores and the truth: Spearman's {found.premium.rank_correlation:.2f}."]
    return "\n".join([*lines, *table("", found.loads)]) + "\n"


def _gains(of: str, worse: TryOnScores, better: TryOnScores) -> list[Target]:
    """Better in every score; as good is enough only where nothing is left to gain."""
    promises = []
    for field, name in _NAMES.items():
        sign, perfect = (-1, 0.0) if field in _LESS_IS_BETTER else (1, 1.0)
        before, after = getattr(worse, field), getattr(better, field)
        gain = sign * (after - before)
        promises.append(Target(f"{of}: {name}", gain, 0, "", at_least=True, beyond=before != perfect))
    return promises


def _told(field: str, value: float) -> str:
    if field in _LESS_IS_BETTER:
        return f"{value:.2f}"
    return f"{value:.3f}" if "similarity" in field else f"{100 * value:.1f} %"
