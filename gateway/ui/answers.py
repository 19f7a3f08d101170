"""What the page reads of the API's answers; fields that it does not need are left out."""

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PictureAnswer(_Answer):
    """A finished picture. `score` of a premium try-on: 0 to 1, 1 is best."""

    url: str
    seed: int
    score: float | None = None


class Candidate(_Answer):
    """A drawing of a premium try-on, answered or not. Scores are 0 to 1, 1 is best."""

    seed: int
    score: float
    scores: dict[str, float]
    refined: bool = False


class NamedPicture(_Answer):
    """What a stage made."""

    name: str
    url: str


class PicturesAnswer(_Answer):
    """The result of a job that makes pictures; what only a try-on says is empty for others."""

    data: tuple[PictureAnswer, ...]
    candidates: tuple[Candidate, ...] | None = None
    intermediates: tuple[NamedPicture, ...] | None = None
    warnings: tuple[str, ...] | None = None


class Problem(_Answer):
    """The error of an error answer."""

    message: str
    code: str | None = None
    param: str | None = None


class ProblemAnswer(_Answer):
    """An error answer."""

    error: Problem


class JobTaken(_Answer):
    """The answer to a request with `async`."""

    id: str


class ModelAnswer(_Answer):
    """One model."""

    id: str


class ModelsAnswer(_Answer):
    """`GET /v1/models`."""

    data: tuple[ModelAnswer, ...]


class JobTold(_Answer):
    """What any event of a job may tell; `url` of a preview."""

    status: str | None = None
    stage: str | None = None
    progress: float | None = None
    queue_position: int | None = None
    url: str | None = None
    result: PicturesAnswer | None = None
    error: Problem | None = None
