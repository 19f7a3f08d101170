"""Pictures and the requests for them, as the pipelines see them: checked, complete, free of HTTP."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.domain.backend import Lora
from gateway.domain.edits import Edit
from gateway.domain.files import FileType


class PictureFormat(StrEnum):
    """File formats the gateway writes."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"

    @property
    def file_type(self) -> FileType:
        """Under which a picture is kept."""
        return FileType(self.value)


@dataclass(frozen=True, slots=True)
class PictureEncoding:
    """How pixels become a file. `quality` 0-100 applies to JPEG and WebP."""

    format: PictureFormat
    quality: int
    embed_parameters: bool
    """Write prompt, seed and sampling parameters into PNG files, as Stable Diffusion tools read them."""


@dataclass(frozen=True, slots=True)
class PictureSize:
    """Pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class GenerateCommand:
    """n pictures of one prompt; `seeds` one a picture.

    `edit`: begin from pictures that came in. `size` None, with an edit only: that of its first picture.
    `guidance_interval`, `step_cache` and `loras` are those of `DenoiseJob`.
    """

    model: str
    prompt: str
    negative_prompt: str
    seeds: tuple[int, ...]
    steps: int
    guidance_scale: float
    scheduler: str
    size: PictureSize | None
    deterministic: bool
    partial_images: int
    encoding: PictureEncoding
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    step_cache: float | None = None
    loras: tuple[Lora, ...] = ()
    edit: Edit | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One finished picture file."""

    index: int
    seed: int
    data: bytes
    size: PictureSize


@dataclass(frozen=True, slots=True)
class PartialPicture:
    """The estimate of picture `index` while it forms; `order` counts its previews from 0."""

    index: int
    order: int
    data: bytes
    size: PictureSize


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """`text` counts the prompt's and the negative prompt's tokens that the encoder saw, without the begin, end and
    padding tokens. `images` are the pictures that the model read and `per_picture` one that it drew, both in 16x16
    pixel patches, begun ones included (1024x1024 is 4096).
    """

    text: int
    images: int
    per_picture: int
    pictures: int

    @property
    def output(self) -> int:
        """Patches of all the pictures."""
        return self.per_picture * self.pictures


@dataclass(frozen=True, slots=True)
class Generated:
    """A finished GenerateCommand. `warnings` are sentences for the caller."""

    pictures: tuple[Picture, ...]
    usage: TokenUsage
    warnings: tuple[str, ...]


class GenerateListener(Protocol):
    """Hears of a generation's progress on the event loop; must not block."""

    def started(self) -> None:
        """The backend took the work: from now on the answer is pictures or a failure under way."""

    def progress(self, share: float) -> None:
        """This share of the denoising is done, 0 to 1."""

    def partial(self, picture: PartialPicture) -> None:
        """An estimate is ready to be shown."""


class DrawsPictures(Protocol):
    """Does GenerateCommands; `gateway.pipelines.generate.GeneratePipeline` is one that does."""

    async def run(self, command: GenerateCommand, listener: GenerateListener | None) -> Generated:
        """Waits for a permit. Raises GatewayError; cancelled like any task, with nothing left running."""
        ...
