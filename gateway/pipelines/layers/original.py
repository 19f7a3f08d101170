"""Layers as the model drew them, brought to the size and the colours of the picture that they were made of."""

import numpy as np
import numpy.typing as npt

from gateway.domain.layers import Sheet


def at_original_size(source: Sheet, drawn: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """`drawn` [layers, height, width, 4], bottom to top, at `source`'s size: together they show exactly the source."""
    raise NotImplementedError
