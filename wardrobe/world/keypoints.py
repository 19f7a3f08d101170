"""Where the joints of a scene's person are, clothes or not: the ground truth of poses."""

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from wardrobe.world.body import ANKLE_Y, BUILDS, HIP_Y, arms
from wardrobe.world.canvas import SIZE, SUPERSAMPLING, Frame, Point
from wardrobe.world.head import CENTRE
from wardrobe.world.scene import Scene

NECK_Y = 47.0
KNEE_Y = (HIP_Y + ANKLE_Y) / 2

Keypoints = npt.NDArray[np.float32]
"""[K, 2], x and y in pixels from the picture's upper left corner, in the order of `Keypoint`."""


class Keypoint(StrEnum):
    """Joints. Left and right are the person's own, so that left is on the viewer's right."""

    HEAD = "head"
    NECK = "neck"
    LEFT_SHOULDER = "left_shoulder"
    RIGHT_SHOULDER = "right_shoulder"
    LEFT_ELBOW = "left_elbow"
    RIGHT_ELBOW = "right_elbow"
    LEFT_WRIST = "left_wrist"
    RIGHT_WRIST = "right_wrist"
    LEFT_HIP = "left_hip"
    RIGHT_HIP = "right_hip"
    LEFT_KNEE = "left_knee"
    RIGHT_KNEE = "right_knee"
    LEFT_ANKLE = "left_ankle"
    RIGHT_ANKLE = "right_ankle"


KEYPOINTS = tuple(Keypoint)
MIRRORED = tuple(
    KEYPOINTS.index(Keypoint(name.replace("left", "R").replace("right", "left").replace("R", "right")))
    for name in KEYPOINTS
)
"""At each keypoint's place the one that takes its name when the picture is mirrored."""


def keypoints(scene: Scene) -> Keypoints:
    """All joints; none is ever outside the picture."""
    build = BUILDS[scene.person.figure]
    left_arm, right_arm = arms(scene.person.pose, build)
    points: list[Point] = [CENTRE, (64.0, NECK_Y)]
    for left, right in zip(left_arm.joints, right_arm.joints, strict=True):
        points += [left, right]
    for y in (HIP_Y, KNEE_Y, ANKLE_Y):
        points += [(64 + build.leg_x, y), (64 - build.leg_x, y)]
    frame = Frame(scene.staging.scale, scene.staging.dx, scene.staging.dy)
    placed = np.array([frame.at(point) for point in points], np.float32) / SUPERSAMPLING
    return mirrored_keypoints(placed, SIZE) if scene.staging.mirror else placed


def mirrored_keypoints(points: Keypoints, width: float) -> Keypoints:
    """The keypoints of the mirrored picture of this width."""
    turned = points[list(MIRRORED)].copy()
    turned[:, 0] = width - turned[:, 0]
    return turned
