"""A sheet of pictures with what the parser sees in them: labels as colours, joints as dots, limbs as lines."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from wardrobe.world.canvas import Pixels
from wardrobe.world.keypoints import KEYPOINTS, Keypoint

SCALE = 2
OPACITY = 0.55
CONFIDENT = 0.3
COLOURS = (
    (255, 255, 255), (128, 84, 40), (250, 190, 150), (240, 120, 60), (230, 200, 40),
    (90, 60, 110), (40, 120, 230), (40, 170, 90), (220, 50, 130),
)  # fmt: skip
"""By label, the background first."""
LEFT, RIGHT = (230, 30, 40), (20, 60, 220)
LIMBS = (
    (Keypoint.HEAD, Keypoint.NECK),
    *((Keypoint.NECK, Keypoint(f"{side}_shoulder")) for side in ("left", "right")),
    *(
        (Keypoint(f"{side}_{a}"), Keypoint(f"{side}_{b}"))
        for side in ("left", "right")
        for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle"))
    ),
)


def parser_sheet(images: Pixels, labels: Pixels, points: npt.NDArray[np.float32], columns: int = 6) -> Image.Image:
    """uint8 [N, H, W, 3], uint8 [N, H, W] and float32 [N, K, 3] as pairs of pictures: as it is, and as it is seen."""
    pairs = [
        np.vstack([np.asarray(_larger(image)), np.asarray(_seen(image, marks, joints))])
        for image, marks, joints in zip(images, labels, points, strict=True)
    ]
    blank = np.full_like(pairs[0], 255)
    rows = [pairs[start : start + columns] for start in range(0, len(pairs), columns)]
    filled = [np.hstack([*row, *[blank] * (columns - len(row))]) for row in rows]
    return Image.fromarray(np.vstack(filled))


def _larger(image: Pixels) -> Image.Image:
    height, width = image.shape[:2]
    return Image.fromarray(np.ascontiguousarray(image)).resize((width * SCALE, height * SCALE))


def _seen(image: Pixels, labels: Pixels, joints: npt.NDArray[np.float32]) -> Image.Image:
    colours = np.array(COLOURS, np.float32)[labels]
    mixed = np.where(labels[..., None] == 0, image * 0.6 + 100, image * (1 - OPACITY) + colours * OPACITY)
    picture = _larger(mixed.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    place = {
        name: (float(x) * SCALE, float(y) * SCALE)
        for name, (x, y, confidence) in zip(KEYPOINTS, joints, strict=True)
        if confidence >= CONFIDENT
    }
    for start, end in LIMBS:
        if start in place and end in place:
            pen.line((*place[start], *place[end]), fill=(20, 20, 20), width=1)
    for name, (x, y) in place.items():
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=RIGHT if name.startswith("right") else LEFT, outline="white")
    return picture
