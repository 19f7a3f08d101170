"""PSD files: layers by name at their places, and the whole picture for viewers that know no layers."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image
from psd_tools import PSDImage
from psd_tools.api.layers import PixelLayer
from psd_tools.constants import BlendMode as PsdBlendMode
from psd_tools.constants import Compression

from gateway.domain.layers import Sheet
from gateway.pipelines.frame import size_of
from gateway.pipelines.layers.compose import compose
from gateway.pipelines.layers.placed import Placed, cut

_LONGEST_NAME = 255


def write_photoshop(layers: Sequence[Placed], composite: Sheet) -> bytes:
    """Of more than 30000 pixels a side it is the large kind of the format, PSB."""
    document = PSDImage.frompil(Image.fromarray(_on_white(composite)), compression=Compression.RLE)
    for layer in layers:
        _add(document, cut(layer))
    # Saving would work the whole picture out anew, by formulas that round otherwise.
    record = document._record
    info = record.layer_and_mask_information.layer_info
    assert info is not None
    # Negative: the fourth channel of the whole picture is its transparency, and not a channel that somebody saved.
    info.layer_count = -len(layers)
    target = io.BytesIO()
    record.write(target)
    return target.getvalue()


def _on_white(composite: Sheet) -> Sheet:
    """The format's whole picture lies on white and has its transparency besides; programs take the white out again."""
    white = Placed("white", np.full_like(composite, 255))
    merged = compose([white, Placed("picture", composite)], size_of(composite))
    merged[..., 3] = composite[..., 3]
    return merged


def _add(document: PSDImage, layer: Placed) -> None:
    image = Image.fromarray(np.ascontiguousarray(layer.pixels))
    added = PixelLayer.frompil(image, document, top=layer.y, left=layer.x, compression=Compression.RLE)
    # Given at once, a name must be one that Macs of old could write.
    added.name = layer.name[:_LONGEST_NAME]
    added.opacity = round(layer.opacity * 255)
    added.visible = layer.visible
    added.blend_mode = PsdBlendMode[layer.blend.name]
