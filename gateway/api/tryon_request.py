"""The fields of the try-on routes, by FASHN's names where it has one; as JSON and as a form."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from families.schedulers import SchedulerName
from gateway.api.picture_options import LARGEST_SEED
from gateway.api.tryon_aliases import ServiceAliases
from gateway.domain.tryon import MOST_GARMENTS, MOST_SAMPLES

_PICTURE = (
    "A data URI, bare base64, or an http(s) link; in a form also a file. Still PNG, JPEG or WebP, upright by EXIF."
)

CategoryName = Literal["auto", "tops", "bottoms", "one-pieces"]
PreservedName = Literal["face", "hair", "hands", "arms", "legs", "shoes", "garment", "background"]


def _listed(value: Any) -> Any:
    """One value as a list of one."""
    return [value] if isinstance(value, str) else value


class TryOnRequest(ServiceAliases):
    """Fields that are absent or null take their defaults. A field not listed here is refused by name.

    `model_image` and `garment_image` are required, under whichever of their names.
    """

    model_image: Annotated[str | None, Field(description=f"The person. {_PICTURE}")] = None
    garment_image: Annotated[
        list[str] | None,
        BeforeValidator(_listed),
        Field(
            description=(
                f"The garment, or up to {MOST_GARMENTS}: a top and bottoms. One, or a list; in a form `garment_image` "
                f"or `garment_image[]`. {_PICTURE}"
            ),
            json_schema_extra={"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        ),
    ] = None
    category: Annotated[
        list[CategoryName] | None,
        BeforeValidator(_listed),
        Field(description="What the garment is; a list where there are two garments. `auto` (default): as it looks."),
    ] = None
    garment_photo_type: Annotated[
        Literal["auto", "flat-lay", "model"] | None,
        Field(description="The garment alone, or somebody who wears it. `auto` (default): as the picture shows."),
    ] = None
    mask: Annotated[
        str | None,
        Field(
            description=(
                "Which part of the person's picture is drawn anew, instead of what the server works out; as large as "
                f"that picture, everything outside stays exactly as it was. By default WHITE is drawn anew: see "
                f"`mask_polarity`. {_PICTURE}"
            )
        ),
    ] = None
    mask_polarity: Annotated[
        Literal["white", "black", "transparent"] | None,
        Field(
            description=(
                "Which pixels of `mask` are drawn anew: `white` (default) as diffusers and CatVTON, `black` as Nova "
                "Canvas, `transparent` as OpenAI's edits."
            )
        ),
    ] = None
    preserve: Annotated[
        list[PreservedName] | None,
        BeforeValidator(_listed),
        Field(
            description=(
                "What stays as it is though the new garment may reach it; `garment`: what the person wears besides. "
                "Face, hair, hands and shoes stay anyway."
            )
        ),
    ] = None
    merge_style: Annotated[
        Literal["balanced", "seamless", "detailed"] | None,
        Field(
            description=(
                "How the drawing joins the photograph, inside of the mask: `balanced` (default) a short fade, "
                "`seamless` a long one with colours drawn to the photograph's, `detailed` the shortest, sharpened."
            )
        ),
    ] = None
    mode: Annotated[
        Literal["performance", "balanced", "quality"] | None,
        Field(
            description=(
                "FASHN's word for what the routes are: `performance` belongs to /v1/tryon-fast, `quality` to "
                "/v1/tryon-premium, `balanced` to both; none of them changes anything."
            )
        ),
    ] = None
    num_samples: Annotated[
        int | None, Field(ge=1, le=MOST_SAMPLES, description="How many pictures; premium: the best. Default 1.")
    ] = None
    candidates: Annotated[
        int | None,
        Field(ge=1, le=16, description="Premium: how many drawings are judged; at least `num_samples`."),
    ] = None
    refine: Annotated[
        bool | None, Field(description="Premium: a second, light pass over the drawing. Default: the server's.")
    ] = None
    seed: Annotated[
        int | None,
        Field(ge=0, le=LARGEST_SEED, description="Drawing i takes seed + i. Default: random; answers tell it."),
    ] = None
    model: Annotated[
        str | None, Field(description="A try-on model of `/v1/models`. Default: the server's for the route.")
    ] = None
    num_inference_steps: Annotated[
        int | None, Field(ge=1, le=150, description="Denoising steps. Default: the route's.")
    ] = None
    guidance_scale: Annotated[
        float | None, Field(ge=0, le=20, description="How closely to follow the garment. Default: the route's.")
    ] = None
    scheduler: Annotated[
        str | None,
        Field(description=f"How steps are taken, one of: {', '.join(SchedulerName)}.", examples=["ddim"]),
    ] = None
    deterministic: Annotated[
        bool | None,
        Field(description="The same bytes for the same request, whatever else the server does. Slower. Default false."),
    ] = None
    return_intermediates: Annotated[
        bool | None,
        Field(description="What the stages made comes back too: parse, pose, garment, mask and others. Default false."),
    ] = None
    output_format: Annotated[
        Literal["png", "jpeg", "webp"] | None, Field(description="File format of the pictures. Default png.")
    ] = None
    output_compression: Annotated[
        int | None, Field(ge=0, le=100, description="Quality of jpeg and webp files; not for png. Default 100.")
    ] = None
    response_format: Annotated[
        Literal["url", "b64_json"] | None,
        Field(description="`url` (default): links that need no key and expire; or `b64_json`: the files themselves."),
    ] = None
    return_base64: Annotated[
        bool | None, Field(description="FASHN's word: true means `response_format` b64_json, false url.")
    ] = None
    segmentation_free: Annotated[
        bool | None, Field(description="Accepted for FASHN's clients; the server always works with a mask.")
    ] = None
    moderation_level: Annotated[
        Literal["conservative", "permissive", "none"] | None,
        Field(description="Accepted for FASHN's clients; no filter runs here."),
    ] = None
    stream: Annotated[
        bool | None,
        Field(description="Answer with server-sent events: stages and estimates as they come, then the whole answer."),
    ] = None
    partial_images: Annotated[
        int | None, Field(ge=0, le=3, description="How many estimates to stream; needs `stream` or `async`. Default 0.")
    ] = None
    run_async: Annotated[
        bool | None,
        Field(alias="async", description="Answer 202 with a job to be asked for, at once; not with `stream`."),
    ] = None
