"""Whether a picture can be taken apart."""

import numpy as np

from families.manifest import SizeRule
from gateway.domain.errors import InvalidRequest
from gateway.domain.layers import Sheet
from gateway.domain.pictures import PictureSize
from gateway.pipelines.frame import size_of

LEAST_SIDE = 32
"""Pixels: as many as the smallest part that a model tells from others."""
_PLENTY = 4
"""Pixels of all layers together, as a multiple of the largest picture that is read."""


def check_source(sheet: Sheet, field: str) -> None:
    """Raises InvalidRequest naming the field."""
    size = size_of(sheet)
    if min(size.width, size.height) < LEAST_SIDE:
        raise InvalidRequest(
            f"'{field}' has {size} pixels; allowed: at least {LEAST_SIDE} on each side",
            code="picture_too_small",
            param=field,
        )
    if not sheet[..., 3].any():
        raise InvalidRequest(f"'{field}' is fully transparent", code="nothing_to_separate", param=field)
    if is_plain(sheet):
        raise InvalidRequest(
            f"'{field}' has one colour all over: there is nothing to separate", code="nothing_to_separate", param=field
        )


def check_shape(drawn: PictureSize, rule: SizeRule, field: str) -> None:
    """`drawn`: what the model would work at. Raises InvalidRequest naming the field."""
    if max(drawn.width, drawn.height) > rule.maximum:
        raise InvalidRequest(
            f"'{field}' is too long for its width: the model would draw {drawn} pixels; allowed: at most "
            f"{rule.maximum} on each side",
            code="picture_too_long",
            param=field,
        )


def check_amount(sheet: Sheet, layers: int, field: str, max_pixels: int) -> None:
    """Every layer is as large as the picture. Raises InvalidRequest naming the field."""
    size, most = size_of(sheet), max_pixels * _PLENTY // layers
    if size.width * size.height > most:
        raise InvalidRequest(
            f"'{field}' is too large for {layers} layers: it has {size} pixels; allowed: at most {most} in all",
            code="image_too_large",
            param=field,
        )


def is_plain(sheet: Sheet) -> bool:
    """Whether all pixels look alike."""
    # Bytes of one pixel as one number; what is fully transparent has no colour.
    pixels = np.ascontiguousarray(sheet).view(np.uint32)[..., 0]
    hidden = sheet[..., 3] == 0
    if hidden.any():
        return bool(hidden.all())
    return bool((pixels == pixels[0, 0]).all())
