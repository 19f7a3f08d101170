"""The same pictures by every variant, side by side."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from benchmarks.quantisation.scores import Pictures
from wardrobe.evaluation import contact_sheet


def side_by_side(drawn: Sequence[tuple[str, Pictures]], count: int) -> Image.Image:
    """A row a variant, `count` pictures wide; the first picture of a row names it."""
    pictures, captions = [], []
    for key, row in drawn:
        pictures += [Image.fromarray(np.asarray(picture)) for picture in row[:count]]
        captions += [key] + [""] * (count - 1)
    return contact_sheet(pictures, captions, columns=count, picture_size=144)
