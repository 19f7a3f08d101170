"""What passes between the stages of a try-on, and what they work with."""

from dataclasses import dataclass
from typing import Protocol

from families.tryon.parts import Category
from gateway.domain.tryon import TryOnScores
from gateway.domain.tryon_drawing import DrawsTryOn, Grey, MaskPixels, Rgb, TryOnDrawing
from gateway.domain.vision import Parse
from gateway.pipelines.tryon.course import Course
from gateway.pipelines.tryon.garment import FlatLay
from gateway.pipelines.tryon.person import View
from gateway.pipelines.tryon.region import Region
from gateway.pipelines.tryon.score import Drawn
from gateway.pipelines.tryon.sketches import Sketches


class Parser(Protocol):
    """Looks at pictures [height, width, 3]; `gateway.pipelines.vision.VisionModels` does.

    `deterministic`: the same answer to the bit, whoever else asks at the same time.
    """

    async def parse(self, pixels: Rgb, *, deterministic: bool) -> Parse:
        """Labels and joints in the picture's pixels."""
        ...

    async def alpha(self, pixels: Rgb, *, deterministic: bool) -> Grey | None:
        """How much of each pixel is the subject's [height, width], in 255ths; None where no model tells."""
        ...


@dataclass(frozen=True, slots=True)
class Stages:
    """What a round works with."""

    parser: Parser
    drawer: DrawsTryOn
    course: Course
    sketches: Sketches


@dataclass(frozen=True, slots=True)
class Wearer:
    """A photograph [height, width, 3] of the person, who is drawn once for each of `seeds`."""

    photograph: Rgb
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Worn:
    """A garment as it is put on. `mask` [height, width] of the photograph: the caller's own."""

    flat: FlatLay
    category: Category
    mask: MaskPixels | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A wearer, all of her and at the drawing's size, where she is drawn anew, and what the model is told of it."""

    wearer: Wearer
    whole: View
    close: View
    region: Region
    asked: TryOnDrawing


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the model drew of `prepared`, and how good it is, where that was judged. `refined`: gone over again."""

    seed: int
    prepared: Prepared
    drawn: Drawn
    scores: TryOnScores | None
    refined: bool = False
