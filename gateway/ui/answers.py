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


class Link(_Answer):
    """A file that the API keeps."""

    url: str


class LayerAnswer(Link):
    """A layer of a picture, as large as the picture."""

    name: str


class LayersAnswer(_Answer):
    """The result of a job that takes a picture apart; `data` bottom to top. `recomposition_psnr` None: together they
    are exactly the picture.
    """

    data: tuple[LayerAnswer, ...]
    composite: Link
    recomposition_psnr: float | None = None
    size: str
    drawn_size: str
    seed: int
    warnings: tuple[str, ...] | None = None


class InlineFile(_Answer):
    """A file in the answer itself."""

    b64_json: str


class ComposedAnswer(_Answer):
    """Layers put together: one picture, and the file that was asked for besides it."""

    data: tuple[InlineFile]
    file: InlineFile | None = None


JobAnswer = PicturesAnswer | LayersAnswer


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


class LayersRule(_Answer):
    """How a model takes pictures apart."""

    minimum: int
    maximum: int
    resolutions: tuple[int, ...]


class ModelAnswer(_Answer):
    """One model. `layers` None: it takes nothing apart."""

    id: str
    layers: LayersRule | None = None


class ModelsAnswer(_Answer):
    """`GET /v1/models`."""

    data: tuple[ModelAnswer, ...]


class JobTold(_Answer):
    """What any event of a job may tell; `url` of a preview, of picture `image_index`."""

    status: str | None = None
    stage: str | None = None
    progress: float | None = None
    queue_position: int | None = None
    url: str | None = None
    image_index: int | None = None
    result: JobAnswer | None = None
    error: Problem | None = None
