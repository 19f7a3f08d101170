"""Drawing in figure coordinates at several times the output's resolution.

A `Sketch` keeps colour and coverage apart: the colour plane is painted beyond the shape's edge, so averaging
it down never mixes in a colour from outside, and the layer's own RGB stays right under partial alpha.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw

from wardrobe.world.palette import RGB

Point = tuple[float, float]
Pixels = npt.NDArray[np.uint8]

SIZE = 128  # output pixels, both ways
SUPERSAMPLING = 3
WORK = SIZE * SUPERSAMPLING


@dataclass(frozen=True, slots=True)
class Frame:
    """From figure coordinates (pixels of a standard 128 px picture) to the working canvas."""

    scale: float = 1.0
    dx: float = 0.0
    dy: float = 0.0
    pivot: Point = (64.0, 120.0)  # stays in place when scaling: between the feet

    def at(self, point: Point) -> Point:
        """A point on the working canvas."""
        x = (point[0] - self.pivot[0]) * self.scale + self.pivot[0] + self.dx
        y = (point[1] - self.pivot[1]) * self.scale + self.pivot[1] + self.dy
        return x * SUPERSAMPLING, y * SUPERSAMPLING

    def length(self, value: float) -> float:
        """A length on the working canvas."""
        return value * self.scale * SUPERSAMPLING


def smooth(points: Sequence[Point], rounds: int = 2) -> list[Point]:
    """Chaikin's corner cutting of a closed outline."""
    corners = np.asarray(points, dtype=np.float64)
    for _ in range(rounds):
        following = np.roll(corners, -1, axis=0)
        cut = np.stack([0.75 * corners + 0.25 * following, 0.25 * corners + 0.75 * following], axis=1)
        corners = cut.reshape(-1, 2)
    return [(float(x), float(y)) for x, y in corners]


def mirrored(points: Sequence[Point], axis: float = 64.0) -> list[Point]:
    """The outline whose right half is `points`, listed from top to bottom."""
    left = [(2 * axis - x, y) for x, y in reversed(points)]
    return [*points, *left]


class Sketch:
    """One layer being drawn: shapes first, then `fill`, then details."""

    def __init__(self, frame: Frame, line: RGB, line_width: float = 0.9) -> None:
        self.frame = frame
        self._line_width = max(1, round(frame.length(line_width)))
        self._paint = Image.new("RGB", (WORK, WORK), line)
        self._cover = Image.new("L", (WORK, WORK), 0)
        self._inner = Image.new("L", (WORK, WORK), 0)
        self._cover_pen = ImageDraw.Draw(self._cover)
        self._inner_pen = ImageDraw.Draw(self._inner)
        self._paint_pen = ImageDraw.Draw(self._paint)

    def polygon(self, points: Sequence[Point]) -> None:
        """Add a closed shape with an outline."""
        placed = [self.frame.at(point) for point in points]
        self._inner_pen.polygon(placed, fill=255)
        self._cover_pen.polygon(placed, fill=255)
        self._cover_pen.line([*placed, placed[0], placed[1]], fill=255, width=2 * self._line_width, joint="curve")

    def ellipse(self, centre: Point, rx: float, ry: float) -> None:
        """Add an ellipse with an outline; radii in figure pixels."""
        x, y = self.frame.at(centre)
        a, b, edge = self.frame.length(rx), self.frame.length(ry), self._line_width
        self._inner_pen.ellipse((x - a, y - b, x + a, y + b), fill=255)
        self._cover_pen.ellipse((x - a - edge, y - b - edge, x + a + edge, y + b + edge), fill=255)

    def limb(self, joints: Sequence[Point], width: float) -> None:
        """A bent stroke of constant `width` with round ends."""
        placed = [self.frame.at(joint) for joint in joints]
        for pen, extra in ((self._inner_pen, 0), (self._cover_pen, 2 * self._line_width)):
            stroke = self.frame.length(width) + extra
            pen.line(placed, fill=255, width=round(stroke), joint="curve")
            for x, y in placed:
                half = stroke / 2
                pen.ellipse((x - half, y - half, x + half, y + half), fill=255)

    def fill(self, colour: RGB | Image.Image) -> None:
        """Paint all shapes so far, leaving their outline."""
        if isinstance(colour, Image.Image):
            self._paint.paste(colour, (0, 0), self._inner)
        else:
            self._paint.paste(colour, (0, 0, WORK, WORK), self._inner)

    def tint(self, points: Sequence[Point], colour: RGB, opacity: float) -> None:
        """Blend `colour` over the part of the shapes inside the outline `points`."""
        region = Image.new("L", (WORK, WORK), 0)
        ImageDraw.Draw(region).polygon([self.frame.at(point) for point in points], fill=round(255 * opacity))
        self._paint.paste(colour, (0, 0, WORK, WORK), ImageChops.multiply(region, self._inner))

    def stroke(self, points: Sequence[Point], colour: RGB, width: float) -> None:
        """A line on top of the paint; it does not add to the coverage."""
        placed = [self.frame.at(point) for point in points]
        self._paint_pen.line(placed, fill=colour, width=max(1, round(self.frame.length(width))), joint="curve")

    def spot(self, centre: Point, rx: float, ry: float, colour: RGB) -> None:
        """An ellipse on top of the paint; it does not add to the coverage."""
        x, y = self.frame.at(centre)
        a, b = self.frame.length(rx), self.frame.length(ry)
        self._paint_pen.ellipse((x - a, y - b, x + a, y + b), fill=colour)

    def arc(self, centre: Point, radii: Point, degrees: tuple[float, float], colour: RGB, width: float) -> None:
        """Part of an ellipse's line; degrees run clockwise from three o'clock."""
        x, y = self.frame.at(centre)
        a, b = self.frame.length(radii[0]), self.frame.length(radii[1])
        thickness = max(1, round(self.frame.length(width)))
        self._paint_pen.arc((x - a, y - b, x + a, y + b), *degrees, fill=colour, width=thickness)

    def finish(self) -> Pixels:
        """The layer at output size: RGBA uint8 [128, 128, 4], straight alpha."""
        rgb = np.asarray(self._paint.reduce(SUPERSAMPLING))
        alpha = np.asarray(self._cover.reduce(SUPERSAMPLING))
        return np.dstack([rgb, alpha])


def compose(layers: Sequence[Pixels]) -> Pixels:
    """Stack RGBA layers [H, W, 4], bottom first, over an opaque first one; returns RGB uint8 [H, W, 3].

    Integer arithmetic with one rounding per layer: whoever stacks the same layers gets the same bytes.
    """
    result = layers[0][..., :3].astype(np.uint32)
    for layer in layers[1:]:
        alpha = layer[..., 3:].astype(np.uint32)
        result = (result * (255 - alpha) + layer[..., :3] * alpha + 127) // 255
    return result.astype(np.uint8)
