"""Names that other try-on services have for the same things: Kling's, Vertex's and Nova Canvas's."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from gateway.api.given_body import json_object
from gateway.api.problems import StrictBody

GarmentClass = Literal[
    "UPPER_BODY",
    "LONG_SLEEVE_SHIRT",
    "SHORT_SLEEVE_SHIRT",
    "NO_SLEEVE_SHIRT",
    "OTHER_UPPER_BODY",
    "LOWER_BODY",
    "LONG_PANTS",
    "SHORT_PANTS",
    "OTHER_LOWER_BODY",
    "FULL_BODY",
    "LONG_DRESS",
    "SHORT_DRESS",
    "FULL_BODY_OUTFIT",
    "OTHER_FULL_BODY",
    "FOOTWEAR",
    "SHOES",
    "BOOTS",
    "OTHER_FOOTWEAR",
]
Exclusion = Literal["ON", "OFF", "DEFAULT"]


def _picture_text(value: Any) -> Any:
    """Vertex wraps its pictures: `{"image": {"bytesBase64Encoded": ...}}`."""
    match value:
        case {"image": {"bytesBase64Encoded": str(text), **others}, **more} if not (others or more):
            return text
        case {"bytesBase64Encoded": str(text), **others} if not others:
            return text
    return value


def _picture_texts(value: Any) -> Any:
    return [_picture_text(each) for each in value] if isinstance(value, list) else [_picture_text(value)]


class OutputOptions(StrictBody):
    """Vertex's."""

    mime_type: Annotated[
        Literal["image/png", "image/jpeg", "image/webp"] | None,
        Field(alias="mimeType", description="As `output_format`."),
    ] = None
    compression_quality: Annotated[
        int | None, Field(alias="compressionQuality", ge=0, le=100, description="As `output_compression`.")
    ] = None


class MaskExclusions(StrictBody):
    """Nova's: what stays. Each of them stays here anyway; OFF is answered with a warning."""

    preserve_face: Annotated[Exclusion | None, Field(alias="preserveFace", description="Faces always stay.")] = None
    preserve_hands: Annotated[Exclusion | None, Field(alias="preserveHands", description="Hands always stay.")] = None
    preserve_body_pose: Annotated[
        Exclusion | None, Field(alias="preserveBodyPose", description="Poses always stay.")
    ] = None


_WRAPPED = {"anyOf": [{"type": "string"}, {"type": "object"}]}


class ServiceAliases(StrictBody):
    """Each says in its description what it is another name of; values that contradict each other are refused."""

    human_image: Annotated[str | None, Field(description="Kling's word for `model_image`.")] = None
    cloth_image: Annotated[str | None, Field(description="Kling's word for `garment_image`.")] = None
    person_image: Annotated[
        str | None,
        BeforeValidator(_picture_text),
        Field(
            alias="personImage",
            description="Vertex's word for `model_image`; also wrapped, as `image.bytesBase64Encoded`.",
            json_schema_extra=_WRAPPED,
        ),
    ] = None
    product_images: Annotated[
        list[str] | None,
        BeforeValidator(_picture_texts),
        Field(
            alias="productImages",
            description="Vertex's word for `garment_image`; also wrapped, as `image.bytesBase64Encoded`.",
            json_schema_extra={"anyOf": [*_WRAPPED["anyOf"], {"type": "array", "items": _WRAPPED}]},
        ),
    ] = None
    sample_count: Annotated[
        int | None, Field(alias="sampleCount", ge=1, le=4, description="Vertex's word for `num_samples`.")
    ] = None
    base_steps: Annotated[
        int | None, Field(alias="baseSteps", ge=1, le=150, description="Vertex's word for `num_inference_steps`.")
    ] = None
    output_options: Annotated[
        OutputOptions | None,
        BeforeValidator(json_object),
        Field(alias="outputOptions", description="Vertex's words for `output_format` and `output_compression`."),
    ] = None
    source_image: Annotated[str | None, Field(alias="sourceImage", description="Nova's word for `model_image`.")] = None
    reference_image: Annotated[
        str | None, Field(alias="referenceImage", description="Nova's word for `garment_image`.")
    ] = None
    mask_type: Annotated[
        Literal["IMAGE", "GARMENT", "PROMPT"] | None,
        Field(
            alias="maskType",
            description=(
                "Nova's: IMAGE needs `maskImage` or `mask`, GARMENT lets the server work the mask out; PROMPT is "
                "refused: masks are not made from words."
            ),
        ),
    ] = None
    mask_image: Annotated[
        str | None,
        Field(
            alias="maskImage", description="Nova's mask: as `mask`, but BLACK is drawn anew (`mask_polarity` black)."
        ),
    ] = None
    garment_class: Annotated[
        GarmentClass | None,
        Field(alias="garmentClass", description="Nova's, finer than `category`, which it implies; no footwear."),
    ] = None
    mask_exclusions: Annotated[
        MaskExclusions | None,
        BeforeValidator(json_object),
        Field(alias="maskExclusions", description="Nova's word for `preserve`."),
    ] = None
    nova_merge_style: Annotated[
        Literal["BALANCED", "SEAMLESS", "DETAILED"] | None,
        Field(alias="mergeStyle", description="Nova's word for `merge_style`."),
    ] = None
    return_mask: Annotated[
        bool | None, Field(alias="returnMask", description="Nova's: the mask comes back, among `intermediates`.")
    ] = None
