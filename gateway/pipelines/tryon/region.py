"""Where a try-on draws: the agnostic mask, or the caller's own, less what is to be preserved."""

from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from families.tryon.agnostic import agnostic_mask
from families.tryon.parts import BodyPart, Category
from gateway.domain.tryon import MaskPolarity, Preserved
from gateway.domain.tryon_drawing import MaskPixels
from gateway.domain.tryon_errors import ImageLoadError, InputValidationError, PoseError
from gateway.domain.vision import Parse
from gateway.pipelines.frame import size_of
from gateway.pipelines.incoming import IncomingPicture
from gateway.pipelines.tryon.body import hands, labelled
from gateway.pipelines.tryon.crop import Window

_HALF = 128
_PARTS = {
    Preserved.FACE: (BodyPart.FACE,),
    Preserved.HAIR: (BodyPart.HAIR,),
    Preserved.ARMS: (BodyPart.ARMS,),
    Preserved.LEGS: (BodyPart.LEGS,),
    Preserved.SHOES: (BodyPart.SHOES,),
    Preserved.BACKGROUND: (BodyPart.BACKGROUND,),
}
_OTHERS = {
    Category.TOPS: (BodyPart.BOTTOMS,),
    Category.BOTTOMS: (BodyPart.TOP,),
    Category.ONE_PIECES: (),
}


@dataclass(frozen=True, slots=True)
class Region:
    """The mask twice: `drawn` [drawn height, drawn width] for the model, `mask` [height, width] of the whole picture.

    The drawing reaches at least as far as the picture's mask does.
    """

    window: Window
    drawn: MaskPixels
    mask: MaskPixels


def worked_out(person: Parse, window: Window, category: Category, preserve: Set[Preserved]) -> Region:
    """`person` is the parse of the window at the drawing's size. Raises PoseError, which names no field,
    InputValidationError.
    """
    try:
        drawn = agnostic_mask(person.labels, category)
    except ValueError as error:
        raise PoseError(f"the person shows nothing that a garment of the category {category} goes on") from error
    drawn = drawn & ~_preserved(person, category, preserve)
    return _checked(Region(window, drawn, window.mask_from_model(drawn)))


def given(mask: MaskPixels, person: Parse, window: Window, category: Category, preserve: Set[Preserved]) -> Region:
    """The caller's mask [height, width] of the picture. Raises InputValidationError."""
    kept = _preserved(person, category, preserve)
    whole = mask & ~window.mask_from_model(kept) if kept.any() else mask
    whole = whole & _within(window)
    return _checked(Region(window, window.mask_to_model(whole), whole))


def mask_of(picture: IncomingPicture, polarity: MaskPolarity, person: IncomingPicture, field: str) -> MaskPixels:
    """What a mask's file says is drawn anew. Raises ImageLoadError, InputValidationError naming the field."""
    if picture.pixels.shape != person.pixels.shape:
        raise ImageLoadError(
            f"'{field}' has {size_of(picture.pixels)} pixels and the person's picture {size_of(person.pixels)}; "
            "both must be of the same size",
            param=field,
        )
    if polarity is MaskPolarity.TRANSPARENT and picture.alpha is None:
        raise InputValidationError(
            f"'{field}' has no alpha channel; transparent pixels mark what is drawn anew", param=field
        )
    light = picture.pixels.astype(np.uint16).sum(axis=-1) >= 3 * _HALF
    mask: MaskPixels = light if polarity is MaskPolarity.WHITE else ~light
    if polarity is MaskPolarity.TRANSPARENT:
        mask = np.asarray(picture.alpha) < 255
    if not mask.any():
        raise InputValidationError(
            f"'{field}' leaves nothing to be drawn: {polarity} pixels mark what is drawn anew, and it has none",
            param=field,
        )
    return mask


def _preserved(person: Parse, category: Category, preserve: Set[Preserved]) -> MaskPixels:
    parts = [part for name in preserve for part in _PARTS.get(name, ())]
    if Preserved.OTHER_GARMENT in preserve:
        parts.extend(_OTHERS[category])
    kept = labelled(person.labels, *parts)
    return kept | hands(person) if Preserved.HANDS in preserve else kept


def _within(window: Window) -> MaskPixels:
    inside = np.zeros((window.picture.height, window.picture.width), dtype=bool)
    inside[window.inside.slices] = True
    return inside


def _checked(region: Region) -> Region:
    if not region.mask.any():
        raise InputValidationError("'preserve' keeps all that would be drawn anew", param="preserve")
    return region
