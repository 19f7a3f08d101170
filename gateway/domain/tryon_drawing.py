"""One drawing of a try-on: what its model is given, all at the size that it draws, and who hears of it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from gateway.domain.backend import Pixels
from gateway.domain.pictures import PictureSize
from gateway.domain.tryon import GarmentCategory

Rgb = npt.NDArray[np.uint8]
"""[height, width, 3], sRGB."""
Grey = npt.NDArray[np.uint8]
"""[height, width]."""
MaskPixels = npt.NDArray[np.bool_]
"""[height, width]: True where a pixel is drawn anew."""


@dataclass(frozen=True, slots=True)
class TryOnPoses:
    """Joints and limbs drawn in grey on black, of the person and of whoever wears the garment (nobody: black)."""

    person: Grey
    garment: Grey


@dataclass(frozen=True, slots=True)
class Draft:
    """A drawing [height, width, 3] that is gone over again: the last `strength` (0, 1] of the steps are done."""

    pixels: Rgb
    strength: float


@dataclass(frozen=True, slots=True)
class TryOnDrawing:
    """`person` wearing `garment` once for each of `seeds`, which ride in the same batches.

    `person`, `mask` and `garment` are of one size, which the model's `SizeRule` allows. The person is given as she is:
    what the mask covers is hidden from the model. `poses` and `category` are for models whose manifest asks for them
    (`TryOnRule.takes_poses`, `TryOnRule.categories`). `previews`: estimates that the listener is to be shown.
    """

    model: str
    person: Rgb
    mask: MaskPixels
    garment: Rgb
    seeds: tuple[int, ...]
    steps: int
    guidance_scale: float
    scheduler: str
    deterministic: bool = False
    previews: int = 0
    poses: TryOnPoses | None = None
    category: GarmentCategory | None = None
    draft: Draft | None = None

    @property
    def size(self) -> PictureSize:
        """Of the person's picture, and of what is drawn."""
        return PictureSize(self.person.shape[1], self.person.shape[0])


class TryOnDrawingListener(Protocol):
    """Hears of one drawing on the event loop; must not block."""

    def started(self) -> None:
        """The backend took the work."""

    def step(self, done: int, steps: int) -> None:
        """`done` of `steps` steps are done for every seed."""

    def preview(self, order: int, pixels: Pixels) -> None:
        """An estimate [seeds, height, width, 3] of all drawings; `order` counts from 0."""


class DrawsTryOn(Protocol):
    """The generate stage; `gateway.pipelines.tryon.draw.TryOnDraw(backend, models, telemetry)` is the one."""

    async def draw(self, drawing: TryOnDrawing, listener: TryOnDrawingListener | None) -> Pixels:
        """Pixels [seeds, height, width, 3], by one release of the model.

        Inside of the caller's permit and deadline. Cancelling the task stops the backend's work within one step.
        Raises ModelNotFound, InvalidRequest where the model does no try-on or the drawing does not fit it, or a
        BackendError.
        """
        ...
