"""Answers of the image routes, whole or as stream events, as OpenAI's client reads them."""

from typing import Literal

from pydantic import BaseModel, Field

from gateway.domain.pictures import TokenUsage


class InputTokensDetails(BaseModel):
    """What the input was made of."""

    text_tokens: int
    image_tokens: int


class Usage(BaseModel):
    """Text: the prompt's and negative prompt's tokens that the model read. Pictures: 16x16 pixel patches."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokensDetails


class ImageData(BaseModel):
    """One picture."""

    b64_json: str | None = Field(default=None, description="The file in base64, with `response_format` b64_json.")
    url: str | None = Field(default=None, description="Where to fetch the file, with `response_format` url.")
    seed: int = Field(description="Repeats this picture.")


class ImagesResponse(BaseModel):
    """Every picture of a request."""

    created: int = Field(description="Unix time in seconds.")
    data: list[ImageData]
    size: str = Field(examples=["128x128"])
    quality: str = Field(examples=["medium"])
    output_format: str = Field(examples=["png"])
    background: Literal["opaque"] = "opaque"
    usage: Usage
    safety_identifier: str | None = None
    warnings: list[str] | None = Field(
        default=None, description="What the caller should know, e.g. that a prompt was cut."
    )


class _PartialImage(BaseModel):
    b64_json: str
    partial_image_index: int
    image_index: int
    created_at: int
    size: str
    quality: str
    background: Literal["opaque"] = "opaque"
    output_format: str


class PartialImageEvent(_PartialImage):
    """An estimate of picture `image_index`; its estimates are counted by `partial_image_index`."""

    type: Literal["image_generation.partial_image"] = "image_generation.partial_image"


class EditPartialImageEvent(_PartialImage):
    """An estimate of edited picture `image_index`; its estimates are counted by `partial_image_index`."""

    type: Literal["image_edit.partial_image"] = "image_edit.partial_image"


class _Completed(BaseModel):
    b64_json: str
    url: str | None = None
    image_index: int
    seed: int
    created_at: int
    size: str
    quality: str
    background: Literal["opaque"] = "opaque"
    output_format: str
    usage: Usage
    safety_identifier: str | None = None
    warnings: list[str] | None = None


class CompletedEvent(_Completed):
    """Picture `image_index` is finished. The events' usages add up to the request's: the input counts once, at 0."""

    type: Literal["image_generation.completed"] = "image_generation.completed"


class EditCompletedEvent(_Completed):
    """Edited picture `image_index` is finished. The events' usages add up to the request's: the input counts at 0."""

    type: Literal["image_edit.completed"] = "image_edit.completed"


def whole_usage(tokens: TokenUsage) -> Usage:
    """Of all the pictures together."""
    return _usage(tokens.text, tokens.images, tokens.output)


def picture_usage(tokens: TokenUsage, index: int) -> Usage:
    """Picture `index`'s share."""
    text, images = (tokens.text, tokens.images) if index == 0 else (0, 0)
    return _usage(text, images, tokens.per_picture)


def _usage(text: int, images: int, output: int) -> Usage:
    return Usage(
        input_tokens=text + images,
        output_tokens=output,
        total_tokens=text + images + output,
        input_tokens_details=InputTokensDetails(text_tokens=text, image_tokens=images),
    )
