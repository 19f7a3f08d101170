"""From pictures and seconds to one measurement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.machine import Machine
from benchmarks.quantisation.scores import psnr, ssim
from benchmarks.stats import median
from benchmarks.step_cache.crowd import Drawn
from benchmarks.step_cache.result import Measurement, Row


@dataclass(frozen=True, slots=True)
class Way:
    """How pictures of `of_steps` steps are drawn: all of them, with a step cache's threshold, or in fewer `steps`."""

    of_steps: int
    steps: int
    threshold: float | None = None

    @property
    def name(self) -> str:
        """What a reader calls it."""
        if self.threshold is not None:
            return f"step cache {self.threshold:g}"
        return "every step" if self.steps == self.of_steps else f"{self.steps} steps"


def measurement_of(
    started: str, machine: Machine, model: str, scheduler: str, drawn: Mapping[Way, Sequence[Drawn]]
) -> Measurement:
    """A row a way; `drawn` has one entry a round, and every step evaluated among the ways."""
    rows = tuple(_row(way, found, drawn[Way(way.of_steps, way.of_steps)]) for way, found in drawn.items())
    first = next(iter(drawn.values()))
    return Measurement(started, machine, model, scheduler, len(first[0].pictures), len(first), rows)


def _row(way: Way, found: Sequence[Drawn], exact: Sequence[Drawn]) -> Row:
    """Ratios are of one round each: both figures come from the same minute."""
    pictures, wanted = found[0].pictures, exact[0].pictures
    count = len(pictures)
    return Row(
        of_steps=way.of_steps,
        steps=way.steps,
        threshold=way.threshold,
        how=way.name,
        saved=1 - found[0].evaluations / (way.of_steps * count),
        images_per_s=median([count / one.seconds for one in found]) or 0.0,
        faster=median([other.seconds / one.seconds for one, other in zip(found, exact, strict=True)]) or 0.0,
        psnr_db=psnr(pictures, wanted),
        ssim=ssim(pictures, wanted),
    )
