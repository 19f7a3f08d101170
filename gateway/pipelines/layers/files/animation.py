"""An animation in which the picture builds up, layer on layer."""

import io
from collections.abc import Sequence

from PIL import Image

from gateway.domain.errors import InvalidRequest
from gateway.domain.layers import Sheet
from gateway.pipelines.frame import size_of
from gateway.pipelines.layers.compose import compose
from gateway.pipelines.layers.placed import Placed

_LONGEST_SIDE = 16_383
_FRAME_MS, _LAST_MS = 700, 2000


def write_animation(layers: Sequence[Placed], composite: Sheet) -> bytes:
    """Lossless WebP, over and over. Raises InvalidRequest for a picture that is too large for the format."""
    size = size_of(composite)
    if max(size.width, size.height) > _LONGEST_SIDE:
        raise InvalidRequest(f"webp-animation: {size} is too large; at most {_LONGEST_SIDE} a side", param="output")
    shown = [layer for layer in layers if layer.shows]
    frames = [Image.fromarray(compose(shown[:count], size)) for count in range(1, len(shown))]
    frames.append(Image.fromarray(composite))
    target = io.BytesIO()
    frames[0].save(
        target,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=[_FRAME_MS] * (len(frames) - 1) + [_LAST_MS],
        loop=0,
        lossless=True,
        quality=40,
    )
    return target.getvalue()
