"""A picture taken apart: sheets that lie on one another."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Sheet = npt.NDArray[np.uint8]
"""RGBA [height, width, 4], straight alpha, sRGB."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer at the size of the whole picture. `index` counts from the bottom, 0."""

    index: int
    name: str
    pixels: Sheet


class LayersFormat(StrEnum):
    """How layers are handed out: each as a picture of its own, or all in one file."""

    LIST = "list"
    ZIP = "zip"
    PSD = "psd"
    ORA = "ora"
    PPTX = "pptx"
    WEBP_ANIMATION = "webp-animation"
