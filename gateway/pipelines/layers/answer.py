"""Layers as files, and what is said of them."""

import asyncio
import math
from collections.abc import Sequence

from gateway.domain.layering import LayerBox, LayerPicture
from gateway.domain.layers import Layer, LayersFormat, Sheet
from gateway.domain.pictures import PictureFormat
from gateway.pipelines.frame import Box
from gateway.pipelines.imaging import encode_sheet
from gateway.pipelines.layers.files import pack_layers
from gateway.pipelines.layers.parts import Part
from gateway.pipelines.layers.psnr import recomposition_psnr
from gateway.pipelines.together import together


def in_order(parts: Sequence[Part]) -> list[Layer]:
    """Bottom to top, in their places."""
    return [Layer(index, part.name, part.pixels) for index, part in enumerate(parts)]


async def pictures(parts: Sequence[Part], file_format: PictureFormat | None) -> tuple[LayerPicture, ...]:
    """Of every layer; without its file where there is no format."""
    data: Sequence[bytes | None] = [None] * len(parts)
    if file_format is not None:
        data = await together(*(asyncio.to_thread(encode_sheet, part.pixels, file_format) for part in parts))
    return tuple(
        LayerPicture(index, part.name, part.parent, _box(part.box), file)
        for index, (part, file) in enumerate(zip(parts, data, strict=True))
    )


async def packed(layers: Sequence[Layer], composite: Sheet, output: LayersFormat) -> bytes | None:
    """All in one file; None where each is a picture of its own."""
    return None if output is LayersFormat.LIST else await asyncio.to_thread(pack_layers, layers, composite, output)


async def likeness(source: Sheet, composite: Sheet) -> float | None:
    """In dB, None where they are the same."""
    psnr = await asyncio.to_thread(recomposition_psnr, source, composite)
    return None if math.isinf(psnr) else psnr


def _box(box: Box | None) -> LayerBox | None:
    return None if box is None else LayerBox(box.left, box.top, box.size.width, box.size.height)
