"""Pictures and the requests for them, as the pipelines see them: checked, complete, free of HTTP."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class PictureFormat(StrEnum):
    """File formats the gateway writes."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"

    @property
    def media_type(self) -> str:
        """As in Content-Type."""
        return f"image/{self.value}"


@dataclass(frozen=True, slots=True)
class PictureEncoding:
    """How pixels become a file. `quality` 0-100 applies to JPEG and WebP."""

    format: PictureFormat
    quality: int
    embed_parameters: bool
    """Write prompt, seed and sampling parameters into PNG files, as Stable Diffusion tools read them."""


@dataclass(frozen=True, slots=True)
class GenerateCommand:
    """n pictures of one prompt. Width and height in pixels; `seeds` one a picture."""

    model: str
    prompt: str
    negative_prompt: str
    seeds: tuple[int, ...]
    steps: int
    guidance_scale: float
    scheduler: str
    width: int
    height: int
    deterministic: bool
    partial_images: int
    encoding: PictureEncoding


@dataclass(frozen=True, slots=True)
class Picture:
    """One finished picture file."""

    index: int
    seed: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PartialPicture:
    """The estimate of picture `index` while it forms; `order` counts its previews from 0."""

    index: int
    order: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """`text` counts the prompt's and the negative prompt's tokens that the encoder saw, without the begin, end and
    padding tokens. `per_picture` counts 16x16 pixel patches, begun ones included (1024x1024 is 4096).
    """

    text: int
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

    def partial(self, picture: PartialPicture) -> None:
        """An estimate is ready to be shown."""
