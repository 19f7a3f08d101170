"""What a kind of job must know: how its order is written down and how it is done. The rest is the same for all."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.domain.edits import PictureFile
from gateway.domain.errors import JobUnreadable
from gateway.domain.files import FileType
from gateway.domain.pictures import PictureFormat

_Written = TypeVar("_Written", bound=BaseModel)


class StoredOrder(BaseModel):
    """Base of what is written down of a command: explicit fields, a version, no pictures.

    An order may be done by another gateway, of a later version, days after it was taken. Files are not part of it; it
    refers to them by their place in the job's `inputs`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    version: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a route hands in. `inputs` are copied before the route returns.

    `base_url`: of the links in the result, without a slash at its end.
    """

    kind: str
    order: StoredOrder
    inputs: tuple[PictureFile, ...]
    base_url: str


@dataclass(frozen=True, slots=True)
class TakenJob:
    """What a handler gets. `order` is the JSON of the kind's StoredOrder; `inputs` are open at their beginnings."""

    id: str
    order: str
    inputs: tuple[PictureFile, ...]


def read_order(kind: type[_Written], text: str) -> _Written:
    """Raises JobUnreadable."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        # Without the cause's text, which holds the order.
        raise JobUnreadable("the job was written down by another version of this server; send it again") from error


class JobProgress(Protocol):
    """Tells those who watch the job; on the event loop, never blocks, never raises."""

    def stage(self, name: str) -> None:
        """The pipeline's next part began."""

    def progress(self, share: float) -> None:
        """This share of the whole is done, 0 to 1."""

    def preview(self, data: bytes, file_format: PictureFormat, *, image_index: int, order: int) -> None:
        """An estimate of picture `image_index`; `order` counts its estimates from 0."""


class JobFiles(Protocol):
    """Where a job's pictures are kept, for as long as its result is."""

    async def keep(self, data: bytes, file_type: FileType) -> str:
        """Store a picture, or a file of several, and return the link to it: absolute, signed, good until the
        result expires.
        """
        ...


class JobHandler(Protocol):
    """One kind of job. Composed in `gateway.app`."""

    @property
    def kind(self) -> str:
        """As in the job's answer, such as `image_generation`."""
        ...

    async def run(self, job: TakenJob, progress: JobProgress, files: JobFiles) -> BaseModel:
        """The body that the synchronous route would have answered, with links for pictures.

        May run more than once, when a gateway dies: it must give the same answer then. Holds a permit of the admission
        already. Raises GatewayError for what the caller is told; cancelled like any task.
        """
        ...
