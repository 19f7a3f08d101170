"""Layers as the model drew them, brought to the size and the colours of the picture that they were made of."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.domain.layers import Sheet
from gateway.pipelines.frame import resize, size_of
from gateway.pipelines.layers.bands import bands
from gateway.pipelines.layers.edges import fitted_to
from gateway.pipelines.layers.opacity import settled
from gateway.pipelines.layers.reprojection import reprojected
from gateway.pipelines.layers.upsampling import at_size_of


def at_original_size(source: Sheet, drawn: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """`drawn` [layers, height, width, 4], bottom to top, at `source`'s size: together they show exactly the source.

    Where a layer is opaque and nothing lies on it, its colours are the source's bytes. An opaque source's bottom layer
    is opaque. Black where a layer is fully transparent.
    """
    seen = resize(source, size_of(drawn[0]), Image.Resampling.BILINEAR)
    opaque = bool((source[..., 3] == 255).all())
    if opaque:
        drawn = drawn.copy()
        drawn[..., 3] = fitted_to(seen, drawn)
    layers = at_size_of(source, drawn, seen)
    for rows in bands(source.shape[0], source.shape[1], len(layers)):
        layers[:, rows, :, 3] = settled(layers[:, rows, :, 3], source[rows, :, 3], opaque=opaque)
        layers[:, rows] = reprojected(source[rows], layers[:, rows])
    return layers
