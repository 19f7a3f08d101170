"""Which pictures a try-on request has, by whichever names; not yet opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.api.picture_sources import PictureReference
from gateway.api.tryon_merge import agreed, agreed_pictures, only, picture_lists
from gateway.api.tryon_request import TryOnRequest
from gateway.domain.edits import PictureFile
from gateway.domain.tryon import MOST_GARMENTS, MaskPolarity
from gateway.domain.tryon_errors import InputValidationError


@dataclass(frozen=True, slots=True)
class TryOnPictures:
    """The request's pictures, each named by the field it came in."""

    person: PictureReference
    garments: tuple[PictureReference, ...]
    mask: PictureReference | None

    def all(self) -> tuple[PictureReference, ...]:
        """Person, garments, mask."""
        return (self.person, *self.garments, *((self.mask,) if self.mask else ()))


def read_pictures(body: TryOnRequest, files: Mapping[str, Sequence[PictureFile]]) -> TryOnPictures:
    """Raises InputValidationError naming the field."""
    people = {
        "model_image": body.model_image,
        "human_image": body.human_image,
        "personImage": body.person_image,
        "sourceImage": body.source_image,
    }
    clothes: dict[str, Sequence[str] | str | None] = {
        "garment_image": body.garment_image,
        "cloth_image": body.cloth_image,
        "productImages": body.product_images,
        "referenceImage": body.reference_image,
    }
    masks = {"mask": body.mask, "maskImage": body.mask_image}
    person = only("the person", agreed_pictures("the person", picture_lists(people, files)))
    garments = agreed_pictures("the garment", picture_lists(clothes, files))
    mask = only("the mask", agreed_pictures("the mask", picture_lists(masks, files)))
    if person is None:
        raise InputValidationError("'model_image' is required: the person's picture", param="model_image")
    if not garments:
        raise InputValidationError("'garment_image' is required: the garment's picture", param="garment_image")
    if len(garments) > MOST_GARMENTS:
        field = garments[0].field
        raise InputValidationError(
            f"'{field}' has {len(garments)} pictures; allowed: up to {MOST_GARMENTS}, a top and bottoms", param=field
        )
    _check_mask_type(body, mask)
    return TryOnPictures(person, garments, mask)


def polarity_of(body: TryOnRequest, mask: PictureReference | None) -> MaskPolarity:
    """Nova's mask is black where the others are white. Raises InputValidationError."""
    if mask is None:
        if body.mask_polarity:
            raise InputValidationError("'mask_polarity' needs a 'mask'", param="mask_polarity")
        return MaskPolarity.WHITE
    said = MaskPolarity(body.mask_polarity) if body.mask_polarity else None
    implied = MaskPolarity.BLACK if mask.field == "maskImage" else None
    return agreed("mask polarity", {"mask_polarity": said, mask.field: implied}) or MaskPolarity.WHITE


def _check_mask_type(body: TryOnRequest, mask: PictureReference | None) -> None:
    if body.mask_type == "PROMPT":
        raise InputValidationError("'maskType' PROMPT is not served; allowed: IMAGE, GARMENT", param="maskType")
    if body.mask_type == "IMAGE" and mask is None:
        raise InputValidationError("'maskType' IMAGE needs 'maskImage' or 'mask'", param="maskType")
    if body.mask_type == "GARMENT" and mask is not None:
        raise InputValidationError(f"'maskType' GARMENT and '{mask.field}' exclude each other", param=mask.field)
