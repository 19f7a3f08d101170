"""OpenRaster, as GIMP, Krita and MyPaint open it: a zip file of PNG files and an XML file that stacks them."""

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from gateway.domain.errors import InvalidRequest
from gateway.domain.layers import Sheet
from gateway.pipelines.layers.blend import BlendMode
from gateway.pipelines.layers.files.png import png
from gateway.pipelines.layers.files.zipped import Entry, zipped
from gateway.pipelines.layers.placed import Placed, cut

_THUMBNAIL = 256
"""Longest side; the format allows no more."""


def write_openraster(layers: Sequence[Placed], composite: Sheet) -> bytes:
    """By version 0.0.3 of the format. Raises InvalidRequest for the mode that it does not have."""
    if any(layer.blend is BlendMode.EXCLUSION for layer in layers):
        raise InvalidRequest(
            "OpenRaster has no blend mode exclusion; every other one is allowed with ora", param="output"
        )
    return zipped(_entries([cut(layer) for layer in layers], composite))


def _entries(layers: Sequence[Placed], composite: Sheet) -> Iterator[Entry]:
    # Readers find it at a fixed place: first, and not packed.
    yield Entry("mimetype", b"image/openraster", packed=True)
    yield Entry("stack.xml", _stack(layers, composite))
    for index, layer in enumerate(layers):
        yield Entry(_file(index), png(layer.pixels), packed=True)
    yield Entry("mergedimage.png", png(composite), packed=True)
    small = Image.fromarray(composite)
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    yield Entry("Thumbnails/thumbnail.png", png(np.array(small)), packed=True)


def _stack(layers: Sequence[Placed], composite: Sheet) -> bytes:
    height, width = composite.shape[:2]
    image = ElementTree.Element("image", version="0.0.3", w=str(width), h=str(height))
    stack = ElementTree.SubElement(image, "stack")
    for index, layer in reversed(list(enumerate(layers))):
        operator = "src-over" if layer.blend is BlendMode.NORMAL else layer.blend.value
        ElementTree.SubElement(
            stack,
            "layer",
            {
                "name": layer.name,
                "src": _file(index),
                "x": str(layer.x),
                "y": str(layer.y),
                "opacity": f"{layer.opacity:g}",
                "visibility": "visible" if layer.visible else "hidden",
                "composite-op": f"svg:{operator}",
            },
        )
    written: bytes = ElementTree.tostring(image, encoding="UTF-8", xml_declaration=True)
    return written


def _file(index: int) -> str:
    return f"data/{index:02}.png"
