"""Joints and limbs drawn in grey on black, for models that are shown poses."""

import numpy as np
from PIL import Image, ImageDraw

from families.vision.joints import Joint
from gateway.domain.tryon_drawing import Grey
from gateway.domain.vision import Parse

LIMBS = (
    (Joint.HEAD, Joint.NECK),
    (Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER),
    (Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW),
    (Joint.LEFT_ELBOW, Joint.LEFT_WRIST),
    (Joint.RIGHT_SHOULDER, Joint.RIGHT_ELBOW),
    (Joint.RIGHT_ELBOW, Joint.RIGHT_WRIST),
    (Joint.LEFT_SHOULDER, Joint.LEFT_HIP),
    (Joint.RIGHT_SHOULDER, Joint.RIGHT_HIP),
    (Joint.LEFT_HIP, Joint.RIGHT_HIP),
    (Joint.LEFT_HIP, Joint.LEFT_KNEE),
    (Joint.LEFT_KNEE, Joint.LEFT_ANKLE),
    (Joint.RIGHT_HIP, Joint.RIGHT_KNEE),
    (Joint.RIGHT_KNEE, Joint.RIGHT_ANKLE),
)
SURE = 0.3
"""Confidence from which on a joint counts."""
_WIDTH = 100
"""Of the shorter side: the part that a limb's line is wide."""


def pose_grey(parse: Parse) -> Grey:
    """Of the parse's size: limbs in middle grey, joints in white."""
    image = Image.new("L", (parse.labels.shape[1], parse.labels.shape[0]), 0)
    draw_pose(ImageDraw.Draw(image), parse, line=128, dot=255, width=max(1, round(min(image.size) / _WIDTH)))
    return np.array(image)


Ink = int | tuple[int, int, int]


def draw_pose(pen: ImageDraw.ImageDraw, parse: Parse, *, line: Ink, dot: Ink, width: int) -> None:
    """Limbs between joints that are known, then the joints."""
    known = {joint: (x, y) for joint in Joint for x, y, sure in [parse.joint(joint)] if sure >= SURE}
    for first, second in LIMBS:
        if first in known and second in known:
            pen.line([known[first], known[second]], fill=line, width=width)
    for x, y in known.values():
        pen.ellipse((x - width, y - width, x + width, y + width), fill=dot)
