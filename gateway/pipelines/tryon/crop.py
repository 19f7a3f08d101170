"""The part of the person's picture that the model draws: at the shape of its drawings, scaled, never squashed."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.domain.pictures import PictureSize
from gateway.domain.tryon_drawing import MaskPixels, Rgb
from gateway.pipelines.frame import Box, resize

Kind = TypeVar("Kind", bound=np.generic)

_NEAR_ENOUGH = 0.7
"""A person who fills this share of the drawing's height is drawn with her whole picture around her."""
_SHARE = 0.88
"""The share that she gets otherwise."""


@dataclass(frozen=True, slots=True)
class Window:
    """`box` of a picture of `picture`'s size, drawn at `drawn`. The box may reach beyond the picture, whose edge then
    goes on there.
    """

    box: Box
    picture: PictureSize
    drawn: PictureSize

    @property
    def scale(self) -> float:
        """Pixels of the picture along one of the drawing's."""
        return self.box.size.height / self.drawn.height

    @property
    def inside(self) -> Box:
        """What of the box lies in the picture."""
        box, size = self.box, self.picture
        return Box(max(0, box.left), max(0, box.top), min(size.width, box.right), min(size.height, box.bottom))

    def to_model(self, pixels: Rgb) -> Rgb:
        """The picture [height, width, 3] as the model is shown it."""
        part = self._filled(pixels)
        return part if self.box.size == self.drawn else resize(part, self.drawn)

    def mask_from_model(self, mask: MaskPixels) -> MaskPixels:
        """A mask of the drawing as one of the whole picture [height, width]; its border lies in the same place."""
        part = mask
        if self.box.size != self.drawn:
            image = Image.fromarray(mask.astype(np.float32))
            size = (self.box.size.width, self.box.size.height)
            part = np.asarray(image.resize(size, Image.Resampling.BILINEAR)) > 0.5
        whole = np.zeros((self.picture.height, self.picture.width), dtype=bool)
        whole[self.inside.slices] = self._cut(part)
        return whole

    def mask_to_model(self, mask: MaskPixels) -> MaskPixels:
        """Every pixel of the drawing that touches the mask [height, width]."""
        part = self._filled(mask)
        if self.box.size != self.drawn:
            # In float: a lone pixel's share of a smaller picture would be rounded away in 8 bits.
            image = Image.fromarray(part.astype(np.float32))
            part = np.asarray(image.resize((self.drawn.width, self.drawn.height), Image.Resampling.BOX)) > 0
        return part

    def labels_to_model(self, labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Labels [height, width] at the drawing's size."""
        part = self._filled(labels)
        return part if self.box.size == self.drawn else resize(part, self.drawn, Image.Resampling.NEAREST)

    def from_model(
        self, drawing: npt.NDArray[np.uint8], resampling: Image.Resampling = Image.Resampling.LANCZOS
    ) -> npt.NDArray[np.uint8]:
        """What the model drew, at the picture's scale: [height, width, ...] of `inside`."""
        whole = drawing if self.box.size == self.drawn else resize(drawing, self.box.size, resampling)
        return self._cut(whole)

    def _cut(self, array: npt.NDArray[Kind]) -> npt.NDArray[Kind]:
        """`inside` of an array of the box [height, width, ...]."""
        box, inside = self.box, self.inside
        return array[inside.top - box.top : inside.bottom - box.top, inside.left - box.left : inside.right - box.left]

    def _filled(self, array: npt.NDArray[Kind]) -> npt.NDArray[Kind]:
        """The box of an array [height, width, ...], its edge going on outside of the picture."""
        box, inside = self.box, self.inside
        missing = [
            (inside.top - box.top, box.bottom - inside.bottom),
            (inside.left - box.left, box.right - inside.right),
        ]
        return np.pad(array[inside.slices], [*missing, *[(0, 0)] * (array.ndim - 2)], mode="edge")


def window_around(picture: PictureSize, person: Box, drawn: PictureSize) -> Window:
    """The whole picture where the person is large in it; else a window in which she is."""
    everything = window_of_share(picture, Box(0, 0, picture.width, picture.height), drawn, 1.0)
    frame, size = everything.box.size, person.size
    if size.height >= _NEAR_ENOUGH * frame.height or size.width >= _NEAR_ENOUGH * frame.width:
        return everything
    near = window_of_share(picture, person, drawn, _SHARE)
    return near if near.box.size.height < frame.height else everything


def window_of_share(picture: PictureSize, region: Box, drawn: PictureSize, share: float) -> Window:
    """The window of the drawing's shape of which `region` fills this share along one side, and less along the other."""
    size = _shaped(region.size.width / share, region.size.height / share, drawn)
    left = _placed(region.left, region.right, picture.width, size.width)
    top = _placed(region.top, region.bottom, picture.height, size.height)
    return Window(Box(left, top, left + size.width, top + size.height), picture, drawn)


def _shaped(width: float, height: float, drawn: PictureSize) -> PictureSize:
    """The smallest size of the drawing's shape that holds width x height."""
    factor = max(width / drawn.width, height / drawn.height)
    return PictureSize(max(1, round(drawn.width * factor)), max(1, round(drawn.height * factor)))


def _placed(begin: int, end: int, side: int, length: int) -> int:
    """Where a stretch of `length` begins: around begin to end, in the picture as far as it fits in there."""
    start = (begin + end - length) // 2
    return min(max(0, start), side - length) if length < side else min(max(side - length, start), 0)
