"""Layers without their empty edges, as formats with positions keep them."""

from dataclasses import replace

from gateway.pipelines.layers.bounds import bounds_of
from gateway.pipelines.layers.compose import Placed


def cut(layer: Placed) -> Placed:
    """Nothing that could be seen is cut off; of an empty layer one pixel stays."""
    box = bounds_of(layer.pixels, least=1)
    if box is None:
        return replace(layer, pixels=layer.pixels[:1, :1])
    return replace(layer, pixels=layer.pixels[box.slices], x=layer.x + box.left, y=layer.y + box.top)
