"""What crosses the border of a vision model, whatever its graph's own tensors are."""

from families.tensors import ComponentSignature, DType, TensorSpec
from families.tryon.parts import BodyPart
from families.vision.joints import JOINTS
from families.vision.manifest import VisionManifest

MAX_BATCH = 4
"""Rows of one call; deterministic calls are padded to it."""

PIXELS = TensorSpec("pixels", DType.UINT8, ("height", "width", 3))
PARTS = TensorSpec("parts", DType.UINT8, (len(BodyPart), "rows", "columns"))
"""How much of a pixel each part has, in 255ths; rows and columns may be fewer than the picture's."""
KEYPOINTS = TensorSpec("keypoints", DType.FP32, (len(JOINTS), 3))
"""x and y in pixels of the picture that was shown, and confidence 0..1; 0 for joints that are not looked for."""
ALPHA = TensorSpec("alpha", DType.UINT8, ("rows", "columns"))
"""How much of a pixel is the subject's, in 255ths."""


def signature(manifest: VisionManifest) -> ComponentSignature:
    """Pictures in, what the manifest's task answers out."""
    answers = ((manifest.parts, PARTS), (manifest.keypoints, KEYPOINTS), (manifest.alpha, ALPHA))
    return ComponentSignature((PIXELS,), tuple(spec for answer, spec in answers if answer is not None))
