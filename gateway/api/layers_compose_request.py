"""The fields of `POST /v1/images/layers/compose`; as JSON and as a form."""

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from gateway.api.problems import StrictBody
from gateway.domain.composing import MOST_LAYERS

_FARTHEST = 100_000

BlendName = Literal[
    "normal",
    "multiply",
    "screen",
    "overlay",
    "darken",
    "lighten",
    "color-dodge",
    "color-burn",
    "hard-light",
    "soft-light",
    "difference",
    "exclusion",
]


class ComposeLayer(StrictBody):
    """A picture and how it lies on those below it."""

    image: Annotated[
        str,
        Field(
            description=(
                "A data URI, bare base64, or an http(s) link; in a form also the name under which a file is sent. "
                "Still PNG, JPEG or WebP, upright by EXIF."
            )
        ),
    ]
    name: Annotated[
        str | None, Field(max_length=100, description="For `order` and for files. Default: `layer` and its number.")
    ] = None
    x: Annotated[
        int | None,
        Field(ge=-_FARTHEST, le=_FARTHEST, description="Where its left edge lies, in pixels from the left. Default 0."),
    ] = None
    y: Annotated[
        int | None,
        Field(ge=-_FARTHEST, le=_FARTHEST, description="Where its upper edge lies, in pixels from above. Default 0."),
    ] = None
    opacity: Annotated[float | None, Field(ge=0, le=1, description="Default 1.")] = None
    visible: Annotated[bool | None, Field(description="Default true.")] = None
    blend_mode: Annotated[
        BlendName | None, Field(description='By W3C\'s "Compositing and Blending". Default normal.')
    ] = None


def _from_form(value: Any) -> Any:
    """A form's text as the JSON that it must be."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            raise PydanticCustomError("invalid_value", 'must be JSON such as [{"image": "top"}]') from error
    return value


def _ordered(value: Any) -> Any:
    """In a form: one field a layer, or all of them in one, as JSON."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) and value[0][:1] == "[":
        return _from_form(value[0])
    return value


class LayersComposeRequest(StrictBody):
    """Fields that are absent or null take their defaults. A field not listed here is refused by name."""

    layers: Annotated[
        list[ComposeLayer],
        BeforeValidator(_from_form),
        Field(description=f"Up to {MOST_LAYERS}, bottom to top unless `order` says otherwise. In a form: JSON."),
    ]
    order: Annotated[
        list[int | str] | None,
        BeforeValidator(_ordered),
        Field(
            description="Every layer once, bottom to top, by its index in `layers` or by its name.", examples=[[1, 0]]
        ),
    ] = None
    size: Annotated[
        str | None,
        Field(
            description="`WIDTHxHEIGHT` in pixels, or `auto` (default) for that of the lowest layer; more is cut off.",
            examples=["auto", "768x1024"],
        ),
    ] = None
    background: Annotated[
        str | None,
        Field(
            description="`transparent` (default), or a colour below all layers.", examples=["transparent", "#ffffff"]
        ),
    ] = None
    output: Annotated[
        Literal["picture", "zip", "psd", "ora", "pptx", "webp-animation"] | None,
        Field(
            description=(
                "Besides the picture (default: nothing) a file of the layers as they lie: `zip` of PNG files, "
                "Photoshop's `psd`, OpenRaster's `ora`, a `pptx` slide, or a `webp-animation` that builds the picture "
                "up."
            )
        ),
    ] = None
    output_format: Annotated[
        Literal["png", "jpeg", "webp"] | None,
        Field(description="Default png; webp is without loss, too. jpeg has no alpha: for opaque pictures only."),
    ] = None
    response_format: Annotated[
        Literal["url", "b64_json"] | None,
        Field(description="`url` (default): links that need no key and expire; or `b64_json`: the files themselves."),
    ] = None
    user: Annotated[str | None, Field(max_length=512, description="Accepted for OpenAI's clients.")] = None
