"""Where a picture of any size lies while the model, which takes only some sizes, works on it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from families.manifest import SizeRule
from gateway.domain.pictures import PictureSize

_MARGIN = 8
"""A region that must be scaled takes an eighth of its sides along around it, so that the model sees where it lies."""


@dataclass(frozen=True, slots=True)
class Box:
    """Part of a picture in pixels; `right` and `bottom` lie outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> PictureSize:
        """Of the part."""
        return PictureSize(self.right - self.left, self.bottom - self.top)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of an array [height, width, ...]."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True, slots=True)
class Frame:
    """The part `box` of the picture, scaled to `scaled`, padded to `padded` at the right and bottom by its own edge."""

    box: Box
    scaled: PictureSize
    padded: PictureSize

    @classmethod
    def around(cls, size: PictureSize, rule: SizeRule) -> Self:
        """The whole picture; scaled only where a side is too long or too short for the model."""
        return cls._of(Box(0, 0, size.width, size.height), rule)

    @classmethod
    def around_region(cls, size: PictureSize, region: Box, rule: SizeRule) -> Self:
        """The whole picture where it fits without scaling; else as much around `region` as does."""
        most = _limits(rule)[1]
        left, right = _window(region.left, region.right, size.width, most)
        top, bottom = _window(region.top, region.bottom, size.height, most)
        return cls._of(Box(left, top, right, bottom), rule)

    @classmethod
    def _of(cls, box: Box, rule: SizeRule) -> Self:
        least, most = _limits(rule)
        size = box.size
        short, long = sorted((size.width, size.height))
        scale = min(max(1.0, rule.minimum / short), most / long)
        scaled = PictureSize(max(1, round(size.width * scale)), max(1, round(size.height * scale)))
        padded = PictureSize(_up(scaled.width, rule.multiple, least), _up(scaled.height, rule.multiple, least))
        return cls(box, scaled, padded)

    @property
    def scales_down(self) -> bool:
        """Whether detail is lost on the way to the model."""
        return self.scaled.width < self.box.size.width or self.scaled.height < self.box.size.height

    def to_model(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The picture [height, width, 3] as the model takes it."""
        part = pixels[self.box.slices]
        if self.scaled != self.box.size:
            part = resize(part, self.scaled)
        below, right = self.padded.height - self.scaled.height, self.padded.width - self.scaled.width
        return np.pad(part, ((0, below), (0, right), (0, 0)), mode="edge")

    def from_model(self, pixels: npt.NDArray[np.uint8], size: PictureSize) -> npt.NDArray[np.uint8]:
        """What the model drew, without its padding, as the box at `size`."""
        part = pixels[: self.scaled.height, : self.scaled.width]
        return part if self.scaled == size else resize(part, size)


def resize(
    pixels: npt.NDArray[np.uint8], size: PictureSize, resampling: Image.Resampling = Image.Resampling.LANCZOS
) -> npt.NDArray[np.uint8]:
    """[height, width, 3] or [height, width] at another size."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.array(image.resize((size.width, size.height), resampling))


def cover(
    pixels: npt.NDArray[np.uint8], size: PictureSize, resampling: Image.Resampling = Image.Resampling.LANCZOS
) -> npt.NDArray[np.uint8]:
    """Scaled until it covers `size`; what is over is cut off on both sides. Never squashed."""
    own = size_of(pixels)
    scale = max(size.width / own.width, size.height / own.height)
    large = PictureSize(max(size.width, round(own.width * scale)), max(size.height, round(own.height * scale)))
    return centre(pixels if own == large else resize(pixels, large, resampling), size)


def centre(pixels: npt.NDArray[np.uint8], size: PictureSize) -> npt.NDArray[np.uint8]:
    """The middle part of this size."""
    left, top = (pixels.shape[1] - size.width) // 2, (pixels.shape[0] - size.height) // 2
    return pixels[top : top + size.height, left : left + size.width]


def size_of(pixels: npt.NDArray[np.uint8]) -> PictureSize:
    """Of an array [height, width, ...]."""
    return PictureSize(pixels.shape[1], pixels.shape[0])


def _limits(rule: SizeRule) -> tuple[int, int]:
    """Shortest and longest side that the model takes: multiples."""
    return -(-rule.minimum // rule.multiple) * rule.multiple, rule.maximum // rule.multiple * rule.multiple


def _up(side: int, multiple: int, least: int) -> int:
    return max(least, -(-side // multiple) * multiple)


def _window(begin: int, end: int, side: int, most: int) -> tuple[int, int]:
    """A stretch of `side` around begin to end: `most` long where these and their margin fit into it."""
    margin = (end - begin) // _MARGIN
    wanted = min(side, max(end - begin + 2 * margin, most))
    start = min(max(0, (begin + end - wanted) // 2), side - wanted)
    return start, start + wanted
