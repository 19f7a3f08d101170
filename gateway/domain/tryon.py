"""A person in other clothes: what is asked for, what comes back, and who is told on the way; free of HTTP."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from families.tryon.parts import Category
from gateway.domain.edits import PictureFile
from gateway.domain.pictures import PartialPicture, Picture, PictureEncoding, TokenUsage

MOST_GARMENTS = 2
"""A top and bottoms."""
MOST_SAMPLES = 4


GarmentCategory = Category
"""Where a garment is worn. A request may leave it open: then the garment's picture tells."""


class GarmentPhoto(StrEnum):
    """What a garment's picture shows: the garment alone, or somebody who wears it."""

    FLAT_LAY = "flat-lay"
    MODEL = "model"


class TryOnMode(StrEnum):
    """One drawing in few steps; or several drawings in more steps, judged, the best ones answered."""

    FAST = "fast"
    PREMIUM = "premium"


class MaskPolarity(StrEnum):
    """Which pixels of a mask's file are drawn anew."""

    WHITE = "white"
    """Light ones (from half on), as diffusers and CatVTON; the default of the try-on routes."""
    BLACK = "black"
    """Dark ones, as Nova Canvas."""
    TRANSPARENT = "transparent"
    """Those that are not opaque, as OpenAI."""


class Preserved(StrEnum):
    """What stays as it is though the new garment may reach it. Face, hair, hands and shoes stay anyway."""

    FACE = "face"
    HAIR = "hair"
    HANDS = "hands"
    ARMS = "arms"
    LEGS = "legs"
    SHOES = "shoes"
    OTHER_GARMENT = "garment"
    """What the person wears besides: the bottoms when a top is put on."""
    BACKGROUND = "background"


class MergeStyle(StrEnum):
    """How the drawing joins the photograph. In every style pixels outside of the mask are the photograph's very own."""

    BALANCED = "balanced"
    """A short fade inside of the mask."""
    SEAMLESS = "seamless"
    """A long fade, and the drawing's colours drawn towards the photograph's along the mask's border."""
    DETAILED = "detailed"
    """The shortest fade, and the drawing sharpened where it was enlarged."""


@dataclass(frozen=True, slots=True)
class GarmentPicture:
    """A garment to be put on. `category` and `photo` None: as its picture tells."""

    picture: PictureFile
    category: GarmentCategory | None = None
    photo: GarmentPhoto | None = None


@dataclass(frozen=True, slots=True)
class TryOnMask:
    """What of the person's picture is drawn anew, instead of what the server would work out; of the same size."""

    picture: PictureFile
    polarity: MaskPolarity = MaskPolarity.WHITE


@dataclass(frozen=True, slots=True)
class TryOnCommand:
    """`samples` pictures of the person wearing `garments` (one, or a top and bottoms).

    Sample i takes `seed` + i; premium judges more candidates than it answers, of the seeds from `seed` on.
    None where the mode's settings decide: `model`, `steps`, `guidance_scale`, `scheduler`, `candidates` (at least
    `samples`; 1 to 16), `refine`. `intermediates`: the stages' own pictures come back too. `partial_images`: estimates
    to be told of while a candidate forms.
    """

    mode: TryOnMode
    person: PictureFile
    garments: tuple[GarmentPicture, ...]
    seed: int
    encoding: PictureEncoding
    mask: TryOnMask | None = None
    preserve: frozenset[Preserved] = frozenset()
    merge: MergeStyle = MergeStyle.BALANCED
    samples: int = 1
    model: str | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None
    candidates: int | None = None
    refine: bool | None = None
    intermediates: bool = False
    partial_images: int = 0
    deterministic: bool = False


class TryOnStage(StrEnum):
    """The parts of a try-on, in order; with two garments those from GARMENT to RESTORE come twice."""

    LOAD = "load"
    PARSE = "parse"
    GARMENT = "garment"
    CROP = "crop"
    MASK = "mask"
    GENERATE = "generate"
    SCORE = "score"
    REFINE = "refine"
    RESTORE = "restore"
    ENCODE = "encode"


@dataclass(frozen=True, slots=True)
class TryOnScores:
    """How good a drawing is, without a ground truth: 0 to 1, 1 is best. `total` is the weighted mean of the others."""

    total: float
    outside: float
    """What the model drew where it should have changed nothing."""
    colour: float
    """The garment's colours against those of its picture."""
    pattern: float
    """Its texture against that of its picture."""
    parse: float
    """What a parser sees: the garment where one is expected, skin where sleeves end, nothing of the old one."""
    identity: float
    """The face, as the model drew it, against the person's."""
    pose: float
    """Joints before and after."""
    agreement: float
    """With what the candidates have in common: a drawing that differs from all others is an accident."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A drawing that was judged, whether it is among the answer's pictures or not.

    `refined`: what came of going over all of them again. Its seed is that of the one it came from; of the best one,
    where it is the mean of several.
    """

    seed: int
    scores: TryOnScores
    refined: bool = False


@dataclass(frozen=True, slots=True)
class TriedOn:
    """A finished picture. `scores` None in fast mode, which judges nothing; `refined` as a candidate's."""

    picture: Picture
    scores: TryOnScores | None
    refined: bool = False


@dataclass(frozen=True, slots=True)
class StagePicture:
    """What a stage made, as a PNG file, e.g. `parse`, `pose`, `garment`, `mask`, `masked_person`, `crop`,
    `candidate_7` and `refined_7` (by seed). With two garments the second one's names begin with `second_`.
    """

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class StageTiming:
    """Seconds that a stage took, of both garments together."""

    stage: TryOnStage
    seconds: float


@dataclass(frozen=True, slots=True)
class TryOnResult:
    """A finished TryOnCommand. `pictures` best first (fast: by seed). `candidates`: all that were judged, best first.

    `categories`: one a garment, in the order of the command. `warnings` are sentences for the caller.
    """

    model: str
    pictures: tuple[TriedOn, ...]
    candidates: tuple[Candidate, ...]
    categories: tuple[GarmentCategory, ...]
    intermediates: tuple[StagePicture, ...]
    timings: tuple[StageTiming, ...]
    usage: TokenUsage
    warnings: tuple[str, ...]


class TryOnListener(Protocol):
    """Hears of a try-on's progress on the event loop; must not block."""

    def started(self) -> None:
        """A permit is held and the input can be used: from now on the answer is pictures or a failure under way."""

    def stage_began(self, stage: TryOnStage) -> None:
        """Work on this stage begins."""

    def stage_ended(self, stage: TryOnStage, seconds: float) -> None:
        """It took this long."""

    def progress(self, share: float) -> None:
        """Of the whole, 0 to 1; never falls."""

    def partial(self, picture: PartialPicture) -> None:
        """An estimate of a candidate's drawing is ready to be shown: on the whole picture, in the answer's encoding."""
