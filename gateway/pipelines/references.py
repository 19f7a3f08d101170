"""Reference pictures as a model takes them."""

import math

import numpy as np
import numpy.typing as npt

from families.manifest import ReferenceRule, SizeRule
from families.picture_size import of_area
from gateway.domain.pictures import PictureSize
from gateway.pipelines.frame import centre, resize, size_of


def reference_pixels(
    pixels: npt.NDArray[np.uint8], references: ReferenceRule, sizes: SizeRule
) -> npt.NDArray[np.uint8]:
    """A picture [height, width, 3] within the rule's area, both sides cut to the model's multiple around the middle.

    A side shorter than the multiple is stretched by its edge to one. Rules with a multiple of their own want the whole
    picture at their very area.
    """
    size = size_of(pixels)
    if references.multiple is not None:
        return resize(pixels, PictureSize(*of_area(size.width, size.height, references.area, references.multiple)))
    area = size.width * size.height
    if area > references.area:
        scale = math.sqrt(references.area / area)
        size = PictureSize(max(1, int(size.width * scale)), max(1, int(size.height * scale)))
        pixels = resize(pixels, size)
    multiple = sizes.multiple
    missing = [(0, max(0, multiple - side)) for side in (size.height, size.width)]
    padded = np.pad(pixels, (*missing, (0, 0)), mode="edge")
    whole = PictureSize(padded.shape[1] // multiple * multiple, padded.shape[0] // multiple * multiple)
    return centre(padded, whole)
