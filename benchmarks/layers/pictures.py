"""The contact sheet: pictures, the layers they are made of and those that the model made, over a chequered ground."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.layers.asking import Apart
from wardrobe.evaluation.layers_score import SHEETS, LayersCase
from wardrobe.world.sheets import chequered

_SIDE, _GAP, _HEAD, _GROUPS = 128, 6, 22, 2
_PAPER, _INK = (250, 249, 246), (40, 40, 46)


def contact_sheet(cases: Sequence[LayersCase], apart: Sequence[Apart]) -> Image.Image:
    """Two rows a picture: above the truth, below what came back, with its composite under the picture."""
    columns = ("picture", *SHEETS)
    lines = -(-len(cases) // _GROUPS)
    group, row = len(columns) * (_SIDE + _GAP) + 3 * _GAP, 2 * (_SIDE + _GAP) + _GAP
    sheet = Image.new("RGB", (_GROUPS * group + _GAP, _HEAD + lines * row + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for at in range(_GROUPS):
        for column, name in enumerate(columns):
            pen.text((at * group + 2 * _GAP + column * (_SIDE + _GAP), 4), name, fill=_INK, font=font)
    for index, (case, item) in enumerate(zip(cases, apart, strict=True)):
        left, top = index % _GROUPS * group + 2 * _GAP, _HEAD + index // _GROUPS * row
        for down, (whole, layers) in enumerate(((case.picture, case.truth), (item.composite[..., :3], item.layers))):
            for column, pixels in enumerate((whole, *chequered(layers))):
                place = (left + column * (_SIDE + _GAP), top + down * (_SIDE + _GAP))
                sheet.paste(Image.fromarray(np.ascontiguousarray(pixels)), place)
    return sheet
