"""What a try-on request asks for beside its pictures, by whichever names: each in our own terms."""

from dataclasses import dataclass

from gateway.api.tryon_aliases import MaskExclusions
from gateway.api.tryon_merge import agreed
from gateway.api.tryon_request import TryOnRequest
from gateway.domain.pictures import PictureEncoding, PictureFormat
from gateway.domain.tryon import (
    GarmentCategory,
    GarmentPhoto,
    MergeStyle,
    Preserved,
    TryOnMode,
)
from gateway.domain.tryon_errors import InputValidationError

_DEFAULT_QUALITY = 100
_EXCLUDED = {
    "preserve_face": ("preserveFace", "the face"),
    "preserve_hands": ("preserveHands", "the hands"),
    "preserve_body_pose": ("preserveBodyPose", "the pose"),
}


@dataclass(frozen=True, slots=True)
class Showing:
    """What of the result is answered, and how. `intermediates`: all of them; `mask`: of them at least the masks."""

    inline: bool
    intermediates: bool
    mask: bool
    warnings: tuple[str, ...]


def categories_of(body: TryOnRequest, garments: int) -> tuple[GarmentCategory | None, ...]:
    """One a garment, None: as it looks. Raises InputValidationError."""
    said = tuple(body.category) if body.category not in (None, ["auto"]) else None
    category = agreed("category", {"category": said, "garmentClass": _category_of_class(body.garment_class)})
    if category is None:
        return (None,) * garments
    if len(category) != garments:
        raise InputValidationError(
            f"two category values for one garment: {' and '.join(category)}; send one"
            if garments == 1
            else f"'category' must be 'auto' or a list of {garments}, one a garment, in the order of 'garment_image'",
            param="category",
        )
    return tuple(None if name == "auto" else GarmentCategory(name) for name in category)


def photo_of(body: TryOnRequest) -> GarmentPhoto | None:
    """None: as the picture shows."""
    return None if body.garment_photo_type in (None, "auto") else GarmentPhoto(body.garment_photo_type)


def merge_of(body: TryOnRequest) -> MergeStyle:
    """Raises InputValidationError."""
    nova = body.nova_merge_style.lower() if body.nova_merge_style else None
    style = agreed("merge style", {"merge_style": body.merge_style, "mergeStyle": nova})
    return MergeStyle(style) if style else MergeStyle.BALANCED


def preserved_of(body: TryOnRequest) -> frozenset[Preserved]:
    """What Nova excludes stays anyway."""
    return frozenset(Preserved(name) for name in body.preserve or ())


def samples_of(body: TryOnRequest) -> int:
    """Raises InputValidationError."""
    return agreed("sample count", {"num_samples": body.num_samples, "sampleCount": body.sample_count}) or 1


def steps_of(body: TryOnRequest) -> int | None:
    """Raises InputValidationError."""
    return agreed("steps", {"num_inference_steps": body.num_inference_steps, "baseSteps": body.base_steps})


def encoding_of(body: TryOnRequest) -> PictureEncoding:
    """Raises InputValidationError."""
    options = body.output_options
    from_type = options.mime_type.removeprefix("image/") if options and options.mime_type else None
    name = agreed("output format", {"output_format": body.output_format, "outputOptions": from_type})
    quality = agreed(
        "compression",
        {
            "output_compression": body.output_compression,
            "outputOptions": options.compression_quality if options else None,
        },
    )
    if quality is not None and name in (None, "png"):
        param = "outputOptions" if body.output_compression is None else "output_compression"
        raise InputValidationError(f"'{param}': compression applies to jpeg and webp, not to png", param=param)
    return PictureEncoding(
        PictureFormat(name or "png"), _DEFAULT_QUALITY if quality is None else quality, embed_parameters=False
    )


def showing_of(body: TryOnRequest) -> Showing:
    """Raises InputValidationError."""
    base64 = None if body.return_base64 is None else ("b64_json" if body.return_base64 else "url")
    form = agreed("response format", {"response_format": body.response_format, "return_base64": base64})
    return Showing(
        inline=form == "b64_json",
        intermediates=bool(body.return_intermediates),
        mask=bool(body.return_mask),
        warnings=_exclusion_warnings(body.mask_exclusions),
    )


def check_mode(body: TryOnRequest, mode: TryOnMode) -> None:
    """Raises InputValidationError for what only the other route can do."""
    other = "/v1/tryon-fast" if mode is TryOnMode.PREMIUM else "/v1/tryon-premium"
    if body.mode == ("performance" if mode is TryOnMode.PREMIUM else "quality"):
        raise InputValidationError(f"'mode' {body.mode} belongs to {other}", param="mode")
    if mode is TryOnMode.FAST:
        for field, given in (("candidates", body.candidates is not None), ("refine", bool(body.refine))):
            if given:
                raise InputValidationError(f"'{field}' belongs to {other}", param=field)
    elif body.candidates is not None and body.candidates < samples_of(body):
        raise InputValidationError("'candidates' must be at least 'num_samples'", param="candidates")
    if body.partial_images and not (body.stream or body.run_async):
        raise InputValidationError("'partial_images' needs 'stream' or 'async'", param="partial_images")
    if body.run_async and body.stream:
        raise InputValidationError("'async' and 'stream' exclude each other: a job has its own events", param="async")
    if body.run_async and showing_of(body).inline:
        param = "return_base64" if body.response_format is None else "response_format"
        raise InputValidationError(f"'{param}' does not go with 'async': a job's pictures are links", param=param)


def _category_of_class(name: str | None) -> tuple[str, ...] | None:
    if name is None:
        return None
    if name in ("FOOTWEAR", "SHOES", "BOOTS", "OTHER_FOOTWEAR"):
        raise InputValidationError(f"'garmentClass' {name}: footwear is not put on here", param="garmentClass")
    if name in ("LOWER_BODY", "LONG_PANTS", "SHORT_PANTS", "OTHER_LOWER_BODY"):
        return ("bottoms",)
    if name in ("UPPER_BODY", "OTHER_UPPER_BODY") or name.endswith("SHIRT"):
        return ("tops",)
    return ("one-pieces",)


def _exclusion_warnings(exclusions: MaskExclusions | None) -> tuple[str, ...]:
    if exclusions is None:
        return ()
    return tuple(
        f"'maskExclusions.{name}' OFF has no effect: {what} always stays"
        for field, (name, what) in _EXCLUDED.items()
        if getattr(exclusions, field) == "OFF"
    )
