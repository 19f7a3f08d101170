"""Readings against requests: one number for each kind of promise a caption makes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from wardrobe.evaluation.captions import HeldOut
from wardrobe.judge import Judge, Reading, reading_of


class Generator(Protocol):
    """Anything that draws: a local pipeline or a client of the HTTP API."""

    def __call__(self, caption: str, seed: int) -> Image.Image:
        """One RGB picture of 128x128 for `caption`; the same seed gives the same picture."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares of right answers, 0..1.

    colour, kind and pattern count top and bottoms as separate garments; a dress counts once, and bottoms that
    should not be there are a wrong `kind`.
    """

    colour: float
    kind: float
    pattern: float
    background: float
    hair_colour: float
    hair_style: float
    pose: float
    skin: float
    everything: float  # pictures without any mistake
    pictures: int

    @property
    def meets_the_bar(self) -> bool:
        """What the shipped weights have to reach with a fast sampler."""
        return self.colour >= 0.95 and self.kind >= 0.90 and self.pattern >= 0.85 and self.background >= 0.95


def score(readings: Sequence[Reading], wanted: Sequence[Reading]) -> Scores:
    """Compare reading by reading. Raises ValueError for none or unequal numbers of pictures."""
    if not readings or len(readings) != len(wanted):
        raise ValueError(f"{len(readings)} readings for {len(wanted)} requests")
    pairs = list(zip(readings, wanted, strict=True))
    dressed = [(got, want) for got, want in pairs if want.bottoms_kind is not None]

    def garments(upper: Callable[[Reading], object], lower: Callable[[Reading], object]) -> float:
        right = [upper(got) == upper(want) for got, want in pairs]
        right += [lower(got) == lower(want) for got, want in dressed]
        return float(np.mean(right))

    def share(value: Callable[[Reading], object]) -> float:
        return float(np.mean([value(got) == value(want) for got, want in pairs]))

    return Scores(
        colour=garments(lambda r: r.top_colour, lambda r: r.bottoms_colour),
        kind=garments(lambda r: (r.top_kind, r.bottoms_kind is None), lambda r: r.bottoms_kind),
        pattern=garments(lambda r: r.top_pattern, lambda r: r.bottoms_pattern),
        background=share(lambda r: r.background),
        hair_colour=share(lambda r: r.hair_colour),
        hair_style=share(lambda r: r.hair_style),
        pose=share(lambda r: r.pose),
        skin=share(lambda r: r.skin),
        everything=share(lambda r: r),
        pictures=len(pairs),
    )


def evaluate(generator: Generator, items: Sequence[HeldOut], judge: Judge) -> tuple[Scores, list[Image.Image]]:
    """Draw every caption (its number is its seed), read the pictures back and score them."""
    pictures = [generator(item.caption, seed).convert("RGB") for seed, item in enumerate(items)]
    readings = judge.read(np.stack([np.asarray(picture) for picture in pictures]))
    return score(readings, [reading_of(item.scene) for item in items]), pictures
