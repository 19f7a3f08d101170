"""PowerPoint files: one slide of the picture's shape, each layer a picture on it by its name."""

import io
from collections.abc import Sequence
from typing import Any

from pptx import Presentation
from pptx.oxml.ns import qn
from pptx.shapes.picture import Picture
from pptx.util import Emu

from gateway.domain.errors import InvalidRequest
from gateway.domain.layers import Sheet
from gateway.domain.pictures import PictureSize
from gateway.pipelines.frame import size_of
from gateway.pipelines.layers.blend import BlendMode
from gateway.pipelines.layers.files.png import png
from gateway.pipelines.layers.files.zipped import timeless
from gateway.pipelines.layers.placed import Placed, cut

_PIXEL = 9525
"""EMU at 96 dots an inch."""
_SHORTEST, _LONGEST = 914_400, 51_206_400
"""EMU of a slide's sides."""
_BLANK = 6
"""Of the default template's layouts."""
_OPAQUE = 100_000


def write_slides(layers: Sequence[Placed], composite: Sheet) -> bytes:
    """Raises InvalidRequest for modes that slides do not have."""
    for layer in layers:
        if layer.blend is not BlendMode.NORMAL:
            raise InvalidRequest(f"slides have no blend mode {layer.blend}; allowed with pptx: normal", param="output")
    presentation = Presentation()
    size = size_of(composite)
    scale = _scale(size)
    presentation.slide_width, presentation.slide_height = (
        Emu(max(_SHORTEST, min(_LONGEST, round(side * scale)))) for side in (size.width, size.height)
    )
    slide = presentation.slides.add_slide(presentation.slide_layouts[_BLANK])
    for layer in map(cut, layers):
        height, width = layer.pixels.shape[:2]
        left, top, wide, high = (Emu(round(each * scale)) for each in (layer.x, layer.y, width, height))
        picture = slide.shapes.add_picture(io.BytesIO(png(layer.pixels)), left, top, wide, high)
        picture.name = layer.name
        _set_state(picture, layer)
    target = io.BytesIO()
    presentation.save(target)
    return timeless(target.getvalue())


def _scale(size: PictureSize) -> float:
    """EMU a pixel: as on a screen, unless the slide would be too small or too large for a slide."""
    short, long = sorted((size.width, size.height))
    return min(max(_PIXEL, _SHORTEST / short), _LONGEST / long)


def _set_state(picture: Picture, layer: Placed) -> None:
    # The library has no names for these.
    element: Any = picture._element
    if not layer.visible:
        element.nvPicPr.cNvPr.set("hidden", "1")
    if layer.opacity < 1:
        blip = element.blipFill.find(qn("a:blip"))
        blip.append(blip.makeelement(qn("a:alphaModFix"), {"amt": str(round(layer.opacity * _OPAQUE))}))
