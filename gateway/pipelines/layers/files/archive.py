"""A zip file with a PNG file a layer, the whole picture, and what says how they lie."""

import json
import re
from collections.abc import Iterator, Sequence

from gateway.domain.layers import Sheet
from gateway.pipelines.layers.files.png import png
from gateway.pipelines.layers.files.zipped import Entry, zipped
from gateway.pipelines.layers.placed import Placed

_LONGEST = 40


def write_archive(layers: Sequence[Placed], composite: Sheet) -> bytes:
    """`layers.json` lists them bottom to top."""
    return zipped(_entries(layers, composite))


def _entries(layers: Sequence[Placed], composite: Sheet) -> Iterator[Entry]:
    names = [f"{index:02}-{_slug(layer.name)}.png" for index, layer in enumerate(layers)]
    for name, layer in zip(names, layers, strict=True):
        yield Entry(name, png(layer.pixels), packed=True)
    yield Entry("composite.png", png(composite), packed=True)
    height, width = composite.shape[:2]
    described = {
        "width": width,
        "height": height,
        "composite": "composite.png",
        "layers": [
            {
                "file": name,
                "name": layer.name,
                "layer_index": index,
                "x": layer.x,
                "y": layer.y,
                "opacity": layer.opacity,
                "visible": layer.visible,
                "blend_mode": layer.blend.value,
            }
            for index, (name, layer) in enumerate(zip(names, layers, strict=True))
        ],
    }
    yield Entry("layers.json", json.dumps(described, indent=2, ensure_ascii=False).encode())


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_LONGEST] or "layer"
