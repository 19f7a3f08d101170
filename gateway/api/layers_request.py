"""The fields of `POST /v1/images/layers`; as JSON and as a form."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from families.schedulers import SchedulerName
from gateway.api.given_body import json_object
from gateway.api.picture_options import LARGEST_SEED, LONGEST_PROMPT, Quality
from gateway.api.problems import StrictBody

_SCHEDULERS = ", ".join(SchedulerName)
LAYER_COUNTS = "'auto' or an integer from {least} to {most}"


def _count(value: Any) -> Any:
    """`auto`, or a number; in a form it is a text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 4:
        return int(value)
    if value in (None, "auto") or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise PydanticCustomError("invalid_value", "must be " + LAYER_COUNTS.format(least=2, most=10))


class GenerateFirst(StrictBody):
    """How the picture is drawn, from the request's `prompt`. As in `/v1/images/generations`; `{}` leaves all open."""

    model: Annotated[
        str | None, Field(description="A model that draws from prompts. Default: the server's default model.")
    ] = None
    size: Annotated[str | None, Field(description="`WIDTHxHEIGHT` in pixels, or `auto` (default).")] = None
    quality: Annotated[Quality | None, Field(description="How many steps, as a share of the default number.")] = None
    negative_prompt: Annotated[
        str | None, Field(max_length=LONGEST_PROMPT, description="What the picture should not show.")
    ] = None
    num_inference_steps: Annotated[int | None, Field(ge=1, le=150, description="Denoising steps.")] = None
    guidance_scale: Annotated[
        float | None, Field(ge=0, le=20, description="How closely to follow the prompt; up to 1 means no guidance.")
    ] = None
    scheduler: Annotated[str | None, Field(description=f"One of: {_SCHEDULERS}.")] = None
    seed: Annotated[
        int | None, Field(ge=0, le=LARGEST_SEED, description="Default: the seed that the layers are drawn with.")
    ] = None


class ImageLayersRequest(StrictBody):
    """Fields that are absent or null take their defaults. A field not listed here is refused by name.

    `image` is required, or `generate` with a `prompt`.
    """

    model: Annotated[
        str | None,
        Field(description="A model of `/v1/models` that has `layers`. Default: the first such model."),
    ] = None
    image: Annotated[
        str | None,
        Field(
            description=(
                "The picture that is taken apart: a data URI, bare base64, or an http(s) link; in a form also a file. "
                "Still PNG, JPEG or WebP, upright by EXIF, at least 32 pixels a side. What is transparent stays so: a "
                "layer of an answer can be sent again."
            )
        ),
    ] = None
    prompt: Annotated[
        str | None,
        Field(
            max_length=LONGEST_PROMPT,
            description=(
                "Describes the whole picture, what is hidden in it too; not what the layers should be. Default: "
                "nothing."
            ),
        ),
    ] = None
    negative_prompt: Annotated[
        str | None,
        Field(max_length=LONGEST_PROMPT, description="What no layer should show. Default: a space."),
    ] = None
    generate: Annotated[
        GenerateFirst | None,
        BeforeValidator(json_object),
        Field(
            description=(
                "Instead of `image`: draw a picture from `prompt` first. It comes back as `source`. In a form a JSON "
                "object."
            ),
            examples=[{"model": "wardrobe", "size": "128x128"}],
        ),
    ] = None
    layers: Annotated[
        Literal["auto"] | int | None,
        BeforeValidator(_count),
        Field(
            description=(
                "How many, 2 to 10: exactly so many come back, some of them perhaps empty. `auto` (default): as many "
                "as the model usually makes, without those that are empty."
            ),
            json_schema_extra={"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 2, "maximum": 10}]},
        ),
    ] = None
    decompose: Annotated[
        list[Annotated[int, Field(ge=0)]] | None,
        Field(
            description=(
                "Indices of layers that are taken apart again, in this same request: each is replaced by its parts, "
                "which say in `parent` what they are parts of."
            ),
            examples=[[3]],
        ),
    ] = None
    resolution: Annotated[
        int | None,
        Field(description="The model draws about its square of pixels; one of the model's. Default: its first."),
    ] = None
    num_inference_steps: Annotated[
        int | None, Field(ge=1, le=150, description="Denoising steps. Default: the model's.")
    ] = None
    guidance_scale: Annotated[
        float | None,
        Field(ge=0, le=20, description="How closely to follow the prompt; up to 1 means no guidance at all."),
    ] = None
    true_cfg_scale: Annotated[float | None, Field(ge=0, le=20, description="Diffusers' word for `guidance_scale`.")] = (
        None
    )
    seed: Annotated[
        int | None, Field(ge=0, le=LARGEST_SEED, description="Default: the server's, else random. The answer tells it.")
    ] = None
    scheduler: Annotated[str | None, Field(description=f"How steps are taken, one of: {_SCHEDULERS}.")] = None
    deterministic: Annotated[
        bool | None,
        Field(description="The same bytes for the same request, whatever else the server does. Slower. Default false."),
    ] = None
    output: Annotated[
        Literal["list", "zip", "psd", "ora", "pptx", "webp-animation"] | None,
        Field(
            description=(
                "`list` (default): every layer as a picture. Otherwise one file of all of them: `zip` of PNG files, "
                "Photoshop's `psd`, OpenRaster's `ora`, a `pptx` slide, or a `webp-animation` that builds the picture "
                "up."
            )
        ),
    ] = None
    output_format: Annotated[
        Literal["png", "jpeg", "webp"] | None,
        Field(
            description="File format of the pictures, without loss. Default png; jpeg is refused: it has no alpha.",
        ),
    ] = None
    response_format: Annotated[
        Literal["url", "b64_json"] | None,
        Field(description="`url` (default): links that need no key and expire; or `b64_json`: the files themselves."),
    ] = None
    stream: Annotated[
        bool | None,
        Field(description="Answer with server-sent events: estimates of the layers as they form, then the answer."),
    ] = None
    partial_images: Annotated[
        int | None,
        Field(ge=0, le=3, description="How many estimates of every layer; needs `stream` or `async`. Default 0."),
    ] = None
    user: Annotated[str | None, Field(max_length=512, description="Accepted for OpenAI's clients.")] = None
    run_async: Annotated[
        bool | None,
        Field(alias="async", description="Answer 202 with a job to be asked for, at once; not with `stream`."),
    ] = None
