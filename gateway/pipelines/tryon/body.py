"""What a parse says of a body: parts, box, hands, and what two parses of one person agree on."""

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from families.tryon.parts import BodyPart
from families.vision.joints import Joint
from gateway.domain.tryon_drawing import MaskPixels
from gateway.domain.vision import Parse
from gateway.pipelines.frame import Box
from gateway.pipelines.tryon.poses import SURE

GARMENTS = (BodyPart.TOP, BodyPart.BOTTOMS, BodyPart.DRESS)
BODY = (BodyPart.HAIR, BodyPart.FACE, BodyPart.ARMS, BodyPart.LEGS, BodyPart.SHOES)
_THROAT = 0.015
"""Of the person's height, below the neck's joint: the chin is the face's also where the joint is found too high."""
_RIM = 2
"""Pixels around the face: by one a parser may be wrong, and one is softened (`restore`)."""
_HAND = 0.06
"""Of the person's height: the farthest that a hand reaches from its wrist."""


def labelled(labels: npt.NDArray[np.uint8], *parts: BodyPart) -> MaskPixels:
    """Where one of the parts is."""
    mask: MaskPixels = np.isin(labels, [part.label for part in parts])
    return mask


def box_of(mask: MaskPixels) -> Box | None:
    """The smallest that holds the mask; None where it is empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def person_box(labels: npt.NDArray[np.uint8]) -> Box | None:
    """The smallest that holds everything but background; None where there is nothing else."""
    return box_of(labels != BodyPart.BACKGROUND.label)


def hands(person: Parse) -> MaskPixels:
    """Skin of the arms beyond the wrists, which no sleeve reaches."""
    found: MaskPixels = np.zeros(person.labels.shape, dtype=bool)
    box = person_box(person.labels)
    if box is None:
        return found
    y, x = np.ogrid[: found.shape[0], : found.shape[1]]
    for elbow, wrist in ((Joint.LEFT_ELBOW, Joint.LEFT_WRIST), (Joint.RIGHT_ELBOW, Joint.RIGHT_WRIST)):
        (elbow_x, elbow_y, elbow_sure), (wrist_x, wrist_y, wrist_sure) = person.joint(elbow), person.joint(wrist)
        if min(elbow_sure, wrist_sure) < SURE:
            continue
        beyond = (x - wrist_x) * (wrist_x - elbow_x) + (y - wrist_y) * (wrist_y - elbow_y) > 0
        near = (x - wrist_x) ** 2 + (y - wrist_y) ** 2 <= (_HAND * box.size.height) ** 2
        found |= beyond & near
    return found & labelled(person.labels, BodyPart.ARMS)


def face(person: Parse) -> MaskPixels:
    """With a rim, and down to the neck's joint: some parsers call throat and chest face too, which a garment may cover
    or bare.
    """
    found: MaskPixels = ndimage.binary_dilation(labelled(person.labels, BodyPart.FACE), iterations=_RIM)
    box = person_box(person.labels)
    _, neck, sure = person.joint(Joint.NECK)
    if box is not None and sure >= SURE:
        found[max(0, math.ceil(neck + _THROAT * box.size.height)) :] = False
    return found


def unchanged(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> MaskPixels:
    """Where a drawing shows the same part of body or background as the photograph; specks are left out."""
    same = (before == after) & ~labelled(before, *GARMENTS)
    opened: MaskPixels = ndimage.binary_opening(same, structure=np.ones((3, 3)))
    return opened
