"""What stages made, as pictures to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from families.tryon.parts import BodyPart
from gateway.domain.tryon_drawing import MaskPixels, Rgb
from gateway.pipelines.tryon.parts import Drawing, Worn
from gateway.pipelines.tryon.person import View
from gateway.pipelines.tryon.poses import draw_pose

_COLOURS = {
    BodyPart.HAIR: (140, 86, 75),
    BodyPart.FACE: (255, 187, 120),
    BodyPart.ARMS: (255, 127, 14),
    BodyPart.LEGS: (188, 189, 34),
    BodyPart.SHOES: (127, 127, 127),
    BodyPart.TOP: (31, 119, 180),
    BodyPart.BOTTOMS: (44, 160, 44),
    BodyPart.DRESS: (148, 103, 189),
}
_HIDDEN = 128


@dataclass(frozen=True, slots=True)
class Shown:
    """One of them [height, width, 3]."""

    name: str
    pixels: Rgb


def stage_pictures(drawings: Sequence[Drawing], worn: Worn, prefix: str) -> tuple[Shown, ...]:
    """Of one garment's stages; those before the drawings are of the first wearer."""
    first = drawings[0].prepared
    named = {
        "parse": parse_picture(first.whole),
        "pose": pose_picture(first.whole),
        "garment": worn.flat.pixels,
        "crop": first.close.pixels,
        "mask": mask_picture(first.region.mask),
        "masked_person": masked_picture(first.close.pixels, first.region.drawn),
    }
    for drawing in drawings:
        named[f"{'refined' if drawing.refined else 'candidate'}_{drawing.seed}"] = drawing.drawn.pixels
    return tuple(Shown(prefix + name, pixels) for name, pixels in named.items())


def parse_picture(view: View) -> Rgb:
    """The parts' colours over the picture."""
    colours = np.zeros((len(BodyPart), 3), dtype=np.float32)
    for part, colour in _COLOURS.items():
        colours[part.label] = colour
    person = (view.parse.labels != BodyPart.BACKGROUND.label)[..., None]
    mixed = np.where(person, view.pixels * 0.4 + colours[view.parse.labels] * 0.6, view.pixels)
    painted: Rgb = np.rint(mixed).astype(np.uint8)
    return painted


def pose_picture(view: View) -> Rgb:
    """Joints and limbs over the darkened picture."""
    image = Image.fromarray((view.pixels // 3).astype(np.uint8))
    width = max(1, round(min(image.size) / 80))
    draw_pose(ImageDraw.Draw(image), view.parse, line=(90, 200, 250), dot=(255, 230, 90), width=width)
    return np.array(image)


def mask_picture(mask: MaskPixels) -> Rgb:
    """White where something is drawn anew."""
    grey = np.where(mask, np.uint8(255), np.uint8(0))
    return np.stack([grey] * 3, axis=-1)


def masked_picture(pixels: Rgb, mask: MaskPixels) -> Rgb:
    """The picture as the model is shown it: grey where something is drawn anew."""
    return np.where(mask[..., None], np.uint8(_HIDDEN), pixels)
