"""Answers of the try-on routes, whole or as stream events."""

import time
from typing import Literal

from pydantic import BaseModel, Field

from gateway.api.generation_response import Usage, whole_usage
from gateway.api.placing import Keep, Place, place
from gateway.api.tryon_wish import Showing
from gateway.domain.files import FileType
from gateway.domain.pictures import PictureFormat
from gateway.domain.tryon import GarmentCategory, StagePicture, TriedOn, TryOnMode, TryOnResult, TryOnScores, TryOnStage

_SCORE = "0 to 1, 1 is best."


class Scores(BaseModel):
    """How good a drawing is, judged without knowing the right answer."""

    outside: float = Field(description=f"What changed where nothing should. {_SCORE}")
    colour: float = Field(description=f"The garment's colours against those of its picture. {_SCORE}")
    pattern: float = Field(description=f"Its texture against that of its picture. {_SCORE}")
    parse: float = Field(description=f"The garment where one is expected, skin where sleeves end. {_SCORE}")
    identity: float = Field(description=f"The face as the model drew it against the person's. {_SCORE}")
    pose: float = Field(description=f"Joints before and after. {_SCORE}")
    agreement: float = Field(description=f"With what the candidates have in common. {_SCORE}")


class TryOnImage(BaseModel):
    """The person in the garment, as large as the person's picture."""

    b64_json: str | None = Field(default=None, description="The file in base64, with `response_format` b64_json.")
    url: str | None = Field(default=None, description="Where to fetch the file, with `response_format` url.")
    seed: int = Field(description="Repeats this picture.")
    size: str = Field(examples=["768x1024"])
    score: float | None = Field(default=None, description=f"Weighted mean of `scores`; premium only. {_SCORE}")
    scores: Scores | None = None
    refined: bool | None = Field(default=None, description="Whether `refine` went over this drawing; premium only.")


class JudgedCandidate(BaseModel):
    """A drawing that was judged, answered or not."""

    seed: int
    score: float
    scores: Scores
    refined: bool = Field(description="Whether `refine` went over it, with the seed of the best one before.")


class Intermediate(BaseModel):
    """What a stage made, as a PNG file."""

    name: str = Field(examples=["mask"])
    b64_json: str | None = None
    url: str | None = None


class StageSeconds(BaseModel):
    """How long a stage took, all garments together."""

    stage: TryOnStage
    seconds: float


class TryOnResponse(BaseModel):
    """Every picture of a request, premium's best first."""

    created: int = Field(description="Unix time in seconds.")
    data: list[TryOnImage]
    model: str
    mode: TryOnMode
    category: GarmentCategory = Field(description="Of the garment, as sent or found; of the first where there are two.")
    categories: list[GarmentCategory] = Field(description="One a garment.")
    output_format: str = Field(examples=["png"])
    candidates: list[JudgedCandidate] | None = Field(default=None, description="All that were judged, best first.")
    intermediates: list[Intermediate] | None = Field(default=None, description="With `return_intermediates`.")
    timings: list[StageSeconds]
    usage: Usage
    warnings: list[str] | None = Field(default=None, description="What the caller should know.")


class TryOnStageEvent(BaseModel):
    """A stage began or ended; with two garments most stages come twice."""

    type: Literal["tryon.stage"] = "tryon.stage"
    stage: TryOnStage
    status: Literal["began", "ended"]
    seconds: float | None = Field(default=None, description="How long it took, when it has ended.")
    progress: float = Field(description="Share of the whole that is done, 0 to 1.")


class TryOnProgressEvent(BaseModel):
    """More of the whole is done."""

    type: Literal["tryon.progress"] = "tryon.progress"
    progress: float = Field(description="0 to 1; never falls.")


class TryOnPartialImageEvent(BaseModel):
    """An estimate of candidate `image_index` while it forms; its estimates are counted by `partial_image_index`."""

    type: Literal["tryon.partial_image"] = "tryon.partial_image"
    b64_json: str
    partial_image_index: int
    image_index: int
    created_at: int
    size: str
    output_format: str


class TryOnCompletedEvent(TryOnResponse):
    """The last event: what the route answers without `stream`."""

    type: Literal["tryon.completed"] = "tryon.completed"


TRYON_EVENTS = (TryOnStageEvent, TryOnProgressEvent, TryOnPartialImageEvent, TryOnCompletedEvent)


async def whole_answer(
    result: TryOnResult, mode: TryOnMode, output: PictureFormat, showing: Showing, keep: Keep
) -> TryOnResponse:
    """`keep` is asked where links are wanted. Raises StoreUnavailable."""

    kept = None if showing.inline else keep
    return TryOnResponse(
        created=int(time.time()),
        data=[_image(tried, await place(tried.picture.data, output.file_type, kept)) for tried in result.pictures],
        model=result.model,
        mode=mode,
        category=result.categories[0],
        categories=list(result.categories),
        output_format=output.value,
        candidates=[
            JudgedCandidate(
                seed=candidate.seed,
                score=candidate.scores.total,
                scores=_scores(candidate.scores),
                refined=candidate.refined,
            )
            for candidate in result.candidates
        ]
        or None,
        intermediates=[
            Intermediate(name=picture.name, b64_json=placed.b64_json, url=placed.url)
            for picture in result.intermediates
            if _is_shown(picture, showing)
            for placed in [await place(picture.data, FileType.PNG, kept)]
        ]
        or None,
        timings=[StageSeconds(stage=timing.stage, seconds=timing.seconds) for timing in result.timings],
        usage=whole_usage(result.usage),
        warnings=[*showing.warnings, *result.warnings] or None,
    )


def _is_shown(picture: StagePicture, showing: Showing) -> bool:
    return showing.intermediates or (showing.mask and picture.name.removeprefix("second_") == "mask")


def _image(tried: TriedOn, where: Place) -> TryOnImage:
    scores = tried.scores
    return TryOnImage(
        b64_json=where.b64_json,
        url=where.url,
        seed=tried.picture.seed,
        size=str(tried.picture.size),
        score=None if scores is None else scores.total,
        scores=None if scores is None else _scores(scores),
        refined=None if scores is None else tried.refined,
    )


def _scores(scores: TryOnScores) -> Scores:
    return Scores(
        outside=scores.outside,
        colour=scores.colour,
        pattern=scores.pattern,
        parse=scores.parse,
        identity=scores.identity,
        pose=scores.pose,
        agreement=scores.agreement,
    )
