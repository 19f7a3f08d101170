"""Masks: what of a picture is drawn anew, for the model in latent cells, for the answer in weights of pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from gateway.pipelines.frame import Box, Frame

_FEATHER = 4
"""Pixels over which the new fades in, on the side that is drawn anew."""

Weights = npt.NDArray[np.float32]
"""[height, width]: 0 where a pixel stays exactly as it was, 1 where it is all new."""
Cells = npt.NDArray[np.float32]
"""[rows, columns] of a mask's cells: 1 where they are drawn anew, 0 where they stay."""


@dataclass(frozen=True, slots=True)
class Mask:
    """`edited` [height, width] uint8, 0 where the picture stays and up to 255 where it is drawn anew; not all 0."""

    edited: npt.NDArray[np.uint8]

    @property
    def box(self) -> Box:
        """The smallest that holds everything that is drawn anew."""
        rows, columns = (np.flatnonzero(self.edited.any(axis=axis)) for axis in (1, 0))
        return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)

    def cells(self, frame: Frame, side: int) -> Cells:
        """Every cell of `side` x `side` pixels that touches an edited one."""
        part = self.edited[frame.box.slices] > 0
        if frame.scaled != frame.box.size:
            # In float: a lone pixel's share of a smaller picture would be rounded away in 8 bits.
            image = Image.fromarray(part.astype(np.float32))
            size = (frame.scaled.width, frame.scaled.height)
            part = np.asarray(image.resize(size, Image.Resampling.BOX)) > 0
        touched = np.zeros((frame.padded.height, frame.padded.width), dtype=bool)
        touched[: part.shape[0], : part.shape[1]] = part
        rows, columns = touched.shape[0] // side, touched.shape[1] // side
        cells: Cells = touched.reshape(rows, side, columns, side).any(axis=(1, 3)).astype(np.float32)
        return cells

    def weights(self, box: Box) -> Weights:
        """Of the pixels in `box`. The new fades in over a few pixels inside of what is drawn anew, never outside."""
        edited = self.edited[box.slices]
        return np.minimum(edited.astype(np.float32) / 255, _faded(edited > 0))


def _faded(edited: npt.NDArray[np.bool_]) -> Weights:
    """Rises from the border inwards; reaches 1 in the middle of strokes too thin for the whole way."""
    # What lies beyond the picture's edge is no border.
    layer = Image.fromarray(np.pad(edited, _FEATHER, mode="edge").astype(np.uint8))
    depth = np.asarray(layer).copy()
    for _ in range(_FEATHER):
        layer = layer.filter(ImageFilter.MinFilter(3))
        depth += np.asarray(layer)
    depth = np.ascontiguousarray(depth[_FEATHER:-_FEATHER, _FEATHER:-_FEATHER])
    deepest = np.asarray(Image.fromarray(depth).filter(ImageFilter.MaxFilter(2 * _FEATHER + 1)))
    weights: Weights = depth.astype(np.float32) / np.maximum(deepest, 1)
    return weights
