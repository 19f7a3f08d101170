"""How good drawings are, without a ground truth: seven answers from 0 to 1 and their weighted mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from families.tryon.parts import BodyPart, Category
from gateway.domain.tryon import TryOnScores
from gateway.domain.tryon_drawing import MaskPixels, Rgb
from gateway.domain.vision import Parse
from gateway.pipelines.tryon.body import labelled, person_box
from gateway.pipelines.tryon.cloth import Cloth, cloth, colour_likeness, pattern_likeness
from gateway.pipelines.tryon.lab import Lab, apart, to_lab
from gateway.pipelines.tryon.poses import SURE

WEIGHTS = {
    "outside": 0.05,
    "colour": 0.25,
    "pattern": 0.20,
    "parse": 0.20,
    "identity": 0.05,
    "pose": 0.05,
    "agreement": 0.20,
}
"""Of the total. The garment counts most; what is restored from the photograph anyway counts least."""

_WORN = {Category.TOPS: BodyPart.TOP, Category.BOTTOMS: BodyPart.BOTTOMS, Category.ONE_PIECES: BodyPart.DRESS}
_GONE = {
    Category.TOPS: (BodyPart.DRESS,),
    Category.BOTTOMS: (BodyPart.DRESS,),
    Category.ONE_PIECES: (BodyPart.TOP, BodyPart.BOTTOMS),
}
_COLOUR_SCALE = 12.0
_POSE_SCALE = 0.05
"""Of the person's height: joints that moved so far leave about a third of the score."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What drawings are judged against, all at their size: the person before, the mask, and the garment as it lies."""

    person: Rgb
    parse: Parse
    mask: MaskPixels
    garment: Rgb
    garment_mask: MaskPixels
    category: Category


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawing [height, width, 3] and what the parser sees in it."""

    pixels: Rgb
    parse: Parse


def judge(scene: Scene, drawings: Sequence[Drawn]) -> tuple[TryOnScores, ...]:
    """Scores of each; what they agree on counts too."""
    person, flat = to_lab(scene.person), cloth(scene.garment, scene.garment_mask)
    labs = [to_lab(drawn.pixels) for drawn in drawings]
    middle = np.median(np.stack(labs), axis=0)
    common = _common([drawn.parse.labels for drawn in drawings])
    face = labelled(scene.parse.labels, BodyPart.FACE, BodyPart.HAIR) & ~scene.mask
    scores = []
    for drawn, lab in zip(drawings, labs, strict=True):
        worn = cloth(drawn.pixels, labelled(drawn.parse.labels, _WORN[scene.category]) & scene.mask)
        scores.append(
            _total(
                outside=_near(person[~scene.mask], lab[~scene.mask]),
                colour=_likeness(flat, worn, colours=True),
                pattern=_likeness(flat, worn, colours=False),
                parse=_parse(scene, drawn.parse.labels, common),
                identity=_near(person[face], lab[face]),
                pose=_pose(scene.parse, drawn.parse),
                agreement=_near(middle[scene.mask], lab[scene.mask]),
            )
        )
    return tuple(scores)


def _total(
    *, outside: float, colour: float, pattern: float, parse: float, identity: float, pose: float, agreement: float
) -> TryOnScores:
    each = {
        "outside": outside,
        "colour": colour,
        "pattern": pattern,
        "parse": parse,
        "identity": identity,
        "pose": pose,
        "agreement": agreement,
    }
    total = sum(WEIGHTS[name] * value for name, value in each.items())
    return TryOnScores(total, outside, colour, pattern, parse, identity, pose, agreement)


def _near(first: Lab, second: Lab) -> float:
    return float(np.exp(-apart(first, second) / _COLOUR_SCALE))


def _likeness(flat: Cloth | None, worn: Cloth | None, *, colours: bool) -> float:
    if flat is None or worn is None:
        return 0.0
    return colour_likeness(flat, worn) if colours else pattern_likeness(flat, worn)


def _common(labels: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """What most see at each pixel; of as many, the lower label."""
    stacked = np.stack(labels)
    votes = np.stack([(stacked == part.label).sum(axis=0) for part in BodyPart])
    common: npt.NDArray[np.uint8] = votes.argmax(axis=0).astype(np.uint8)
    return common


def _parse(scene: Scene, after: npt.NDArray[np.uint8], common: npt.NDArray[np.uint8]) -> float:
    """The garment is there and nothing of what it replaces, others see the same, and around it nothing changed."""
    mask = scene.mask
    worn = labelled(after, _WORN[scene.category])[mask].sum()
    left = labelled(after, *_GONE[scene.category])[mask].sum()
    there = float(worn / max(worn + left, 1))
    same = float((after == common)[mask].mean()) if mask.any() else 1.0
    around = float((after == scene.parse.labels)[~mask].mean()) if not mask.all() else 1.0
    return (there + same + around) / 3


def _pose(before: Parse, after: Parse) -> float:
    sure = np.minimum(before.keypoints[:, 2], after.keypoints[:, 2]) >= SURE
    box = person_box(before.labels)
    if box is None or not sure.any():
        return 0.0
    moved = np.linalg.norm(before.keypoints[sure, :2] - after.keypoints[sure, :2], axis=1).mean()
    return float(np.exp(-moved / box.size.height / _POSE_SCALE))
