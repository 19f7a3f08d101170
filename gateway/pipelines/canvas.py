"""What a model draws on: nothing but a size, or pictures that came in, and the way back from its pixels to theirs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.domain.backend import Pixels
from gateway.domain.pictures import PictureSize
from gateway.pipelines.frame import Frame
from gateway.pipelines.masks import Cells, Weights
from gateway.pipelines.prompts import ShownPictures


@dataclass(frozen=True, slots=True)
class Beginning:
    """`pixels` [1, h, w, 3] as the model takes them; `strength` and `cells` as `Start`'s strength and mask."""

    pixels: Pixels
    strength: float
    cells: Cells | None


@dataclass(frozen=True, slots=True)
class Placement:
    """The model's picture is `frame` of a picture of the answer's `size`."""

    frame: Frame
    size: PictureSize

    def finish(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """What the model drew [h, w, 3], as the answer's picture."""
        return self.frame.from_model(pixels, self.size)


@dataclass(frozen=True, slots=True)
class Composite:
    """The model's picture replaces a part of `picture` [height, width, 3], by `weights` of the pixels in its frame."""

    frame: Frame
    picture: npt.NDArray[np.uint8]
    weights: Weights

    def finish(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The answer's picture: where a weight is 0 the very pixels that came in."""
        new = self.frame.from_model(pixels, self.frame.box.size).astype(np.float32)
        finished = self.picture.copy()
        part = finished[self.frame.box.slices]
        # In place, as a view of the copy; whole numbers plus nothing stay the same whole numbers.
        part[:] = np.rint(part + (new - part) * self.weights[..., None])
        return finished


@dataclass(frozen=True, slots=True)
class Canvas:
    """`size` is what the model draws. `finish` None: that is the answer's picture too. `references`: each [1, h, w, 3].

    `shown`: the references as a text encoder that sees takes them. `warnings` are sentences for the caller.
    """

    size: PictureSize
    beginning: Beginning | None = None
    references: tuple[Pixels, ...] = ()
    shown: ShownPictures | None = None
    finish: Placement | Composite | None = None
    warnings: tuple[str, ...] = ()
