"""Layers where they lie."""

from dataclasses import dataclass, replace

from gateway.domain.layers import Layer, Sheet
from gateway.pipelines.layers.blend import BlendMode
from gateway.pipelines.layers.bounds import bounds_of


@dataclass(frozen=True, slots=True)
class Placed:
    """A layer where it lies: `x`, `y` is its left upper corner, anywhere, also outside. `opacity` 0 to 1."""

    name: str
    pixels: Sheet
    x: int = 0
    y: int = 0
    opacity: float = 1.0
    visible: bool = True
    blend: BlendMode = BlendMode.NORMAL

    @property
    def shows(self) -> bool:
        """Whether it takes part at all."""
        return self.visible and self.opacity > 0


def placed(layer: Layer) -> Placed:
    """A layer as a model made it."""
    return Placed(layer.name, layer.pixels)


def cut(layer: Placed) -> Placed:
    """Without its empty edges. Nothing that could be seen is cut off; of an empty layer one pixel stays."""
    box = bounds_of(layer.pixels, least=1)
    if box is None:
        return replace(layer, pixels=layer.pixels[:1, :1])
    return replace(layer, pixels=layer.pixels[box.slices], x=layer.x + box.left, y=layer.y + box.top)
