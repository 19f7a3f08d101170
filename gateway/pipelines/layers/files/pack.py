"""From layers to the bytes of a file."""

from collections.abc import Sequence

from gateway.domain.layers import Layer, LayersFormat, Sheet
from gateway.pipelines.layers.compose import Placed, placed


def pack_layers(layers: Sequence[Layer], composite: Sheet, file_format: LayersFormat) -> bytes:
    """Bottom to top, with what they look like together. The same layers give the same bytes."""
    return pack_stack([placed(layer) for layer in layers], composite, file_format)


def pack_stack(layers: Sequence[Placed], composite: Sheet, file_format: LayersFormat) -> bytes:
    """Layers that have been moved, hidden or blended; files keep that as far as their format can."""
    raise NotImplementedError
