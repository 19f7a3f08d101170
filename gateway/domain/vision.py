"""What vision models say about a picture, in that picture's own pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from families.vision.joints import JOINTS, Joint

Labels = npt.NDArray[np.uint8]
"""[height, width], values are `families.tryon.parts.BodyPart.label`."""
Keypoints = npt.NDArray[np.float32]
"""[joints, 3] in the order of `Joint`: x and y in pixels from the upper left corner, and confidence 0..1. A joint that
was not found, or that the model does not look for, has confidence 0."""


@dataclass(frozen=True, slots=True)
class Parse:
    """A person, or a garment laid flat, taken apart. Where nobody is, `keypoints` have no confidence."""

    labels: Labels
    keypoints: Keypoints

    def joint(self, joint: Joint) -> tuple[float, float, float]:
        """x, y and confidence of one joint."""
        x, y, confidence = (float(value) for value in self.keypoints[JOINTS.index(joint)])
        return x, y, confidence
