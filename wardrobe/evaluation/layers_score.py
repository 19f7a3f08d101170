"""Pictures taken apart, against the sheets that they were put together from."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
import numpy.typing as npt

from wardrobe.world.canvas import Pixels
from wardrobe.world.render import render
from wardrobe.world.scene import scenes
from wardrobe.world.sheets import NAMES, finest_sheets, flatten, sheets, soft_iou

SEED = 2026
COUNT = 200
SHEETS = NAMES[3]
"""Those that the pictures are taken apart into: background, body, bottoms, top, head."""
_SHOWN = 0.002
"""Sheets that cover less of the picture than this show nothing."""


@dataclass(frozen=True, slots=True)
class LayersCase:
    """A held-out picture, uint8 [128, 128, 3], and its sheets, RGBA [5, 128, 128, 4], named `SHEETS`."""

    picture: Pixels
    truth: Pixels

    @property
    def shown(self) -> tuple[int, ...]:
        """The sheets that show anything: with a dress there are no bottoms."""
        cover = self.truth[..., 3].mean(axis=(1, 2)) / 255
        return tuple(int(index) for index in np.flatnonzero(cover > _SHOWN))


@dataclass(frozen=True, slots=True)
class SheetScores:
    """Means over the pictures that have the sheet; where there are none, there are no scores.

    soft_iou: of alpha, the sum of the lesser values over the sum of the greater; colour_error: mean absolute error of
    RGB, 0 to 1, weighed by the true alpha.
    """

    name: str
    soft_iou: float
    colour_error: float
    cases: int


@dataclass(frozen=True, slots=True)
class LayersScores:
    """`person`: everybody without the background, as one sheet. `order`: the share of pictures each of whose sheets
    looks most like a layer that lies above all those which the sheets below it look like.
    """

    sheets: tuple[SheetScores, ...]
    person: SheetScores
    order: float
    cases: int

    def of(self, name: str) -> SheetScores:
        """The scores of the sheet of this name. Raises KeyError where no picture has it."""
        return {scores.name: scores for scores in (*self.sheets, self.person)}[name]


def heldout_layers(count: int = COUNT) -> list[LayersCase]:
    """The first of always the same pictures that training never saw."""
    pictures = (render(scene) for scene in islice(scenes(SEED, held_out=True), count))
    return [LayersCase(picture.image, sheets(finest_sheets(picture), len(SHEETS))) for picture in pictures]


def score_layers(cases: Sequence[LayersCase], drawn: Sequence[Pixels]) -> LayersScores:
    """`drawn`: of each case RGBA [5, 128, 128, 4], bottom to top. Raises ValueError for none or unequal numbers."""
    if not cases or len(cases) != len(drawn):
        raise ValueError(f"{len(drawn)} answers for {len(cases)} pictures")
    pairs = list(zip(cases, drawn, strict=True))
    of_sheets = []
    for index, name in enumerate(SHEETS):
        having = [(case.truth[index], made[index]) for case, made in pairs if index in case.shown]
        if having:
            of_sheets.append(_scores(name, having))
    people = [(flatten(case.truth[1:]), flatten(made[1:])) for case, made in pairs]
    order = float(np.mean([ordered(case, made) for case, made in pairs]))
    return LayersScores(tuple(of_sheets), _scores("person", people), order, len(cases))


def ordered(case: LayersCase, drawn: Pixels) -> bool:
    """Whether the layers that the sheets look most like lie in the sheets' order."""
    places = [int(np.argmax([_likeness(case.truth[index], layer) for layer in drawn])) for index in case.shown]
    return all(lower < upper for lower, upper in pairwise(places))


def _likeness(truth: Pixels, drawn: Pixels) -> float:
    """Where it lies, and what it looks like there: backgrounds and whole pictures cover the same."""
    return soft_iou(truth, drawn) * (1 - _colour_error(truth, drawn))


def _colour_error(truth: Pixels, drawn: Pixels) -> float:
    weight: npt.NDArray[np.float64] = truth[..., 3:] / 255
    error = np.abs(truth[..., :3].astype(np.float64) - drawn[..., :3]) / 255
    return float((error * weight).sum() / max(3 * weight.sum(), 1e-9))


def _scores(name: str, pairs: Sequence[tuple[Pixels, Pixels]]) -> SheetScores:
    overlaps, errors = zip(*((soft_iou(*pair), _colour_error(*pair)) for pair in pairs), strict=True)
    return SheetScores(name, float(np.mean(overlaps)), float(np.mean(errors)), len(pairs))
