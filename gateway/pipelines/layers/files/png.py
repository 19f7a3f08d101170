"""Sheets as PNG files."""

import io

import numpy as np
from PIL import Image

from gateway.domain.layers import Sheet

_LEVEL = 3
"""Layers are mostly empty: half of level 6's time for a file a few percent larger."""


def png(sheet: Sheet) -> bytes:
    """RGBA, whatever is in it."""
    target = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(sheet)).save(target, "PNG", compress_level=_LEVEL)
    return target.getvalue()
