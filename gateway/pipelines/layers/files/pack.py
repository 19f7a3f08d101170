"""From layers to the bytes of a file."""

from collections.abc import Sequence

from gateway.domain.layers import Layer, LayersFormat, Sheet
from gateway.pipelines.layers.files.animation import write_animation
from gateway.pipelines.layers.files.archive import write_archive
from gateway.pipelines.layers.files.openraster import write_openraster
from gateway.pipelines.layers.placed import Placed, placed


def pack_layers(layers: Sequence[Layer], composite: Sheet, file_format: LayersFormat) -> bytes:
    """Bottom to top, with what they look like together. The same layers give the same bytes.

    Raises InvalidRequest for what the format cannot hold.
    """
    return pack_stack([placed(layer) for layer in layers], composite, file_format)


def pack_stack(layers: Sequence[Placed], composite: Sheet, file_format: LayersFormat) -> bytes:
    """Layers that have been moved, hidden, faded or blended: files keep that as it is, animations show it."""
    match file_format:
        case LayersFormat.ZIP:
            return write_archive(layers, composite)
        case LayersFormat.PSD:
            from gateway.pipelines.layers.files.photoshop import write_photoshop  # noqa: PLC0415 - a quarter second

            return write_photoshop(layers, composite)
        case LayersFormat.ORA:
            return write_openraster(layers, composite)
        case LayersFormat.PPTX:
            from gateway.pipelines.layers.files.slides import write_slides  # noqa: PLC0415 - a quarter second

            return write_slides(layers, composite)
        case LayersFormat.WEBP_ANIMATION:
            return write_animation(layers, composite)
        case LayersFormat.LIST:
            raise ValueError("a list is no file")
