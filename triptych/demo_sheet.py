"""The demo's contact sheet: a row a prompt, its streamed estimates from left to right, the finished picture last."""

import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_SIDE = 128
_GAP = 10
_TEXT_HEIGHT = 34
_COLUMNS = 2
_PAPER = (250, 249, 246)
_INK = (40, 40, 46)


def draw_sheet(rows: Sequence[tuple[str, tuple[Image.Image, ...]]]) -> Image.Image:
    """One picture of all; each row is a prompt and its pictures, earliest first."""
    across = max(len(pictures) for _, pictures in rows)
    cell_width = across * (_SIDE + 4) + _GAP * 2
    cell_height = _SIDE + _TEXT_HEIGHT + _GAP
    lines = -(-len(rows) // _COLUMNS)
    sheet = Image.new("RGB", (cell_width * _COLUMNS, cell_height * lines + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for index, (text, pictures) in enumerate(rows):
        left = (index % _COLUMNS) * cell_width + _GAP
        top = (index // _COLUMNS) * cell_height + _GAP
        for column, picture in enumerate(pictures):
            sheet.paste(picture.resize((_SIDE, _SIDE)), (left + column * (_SIDE + 4), top))
        caption = "\n".join(textwrap.wrap(text, width=across * 20)[:2])
        draw.multiline_text((left, top + _SIDE + 3), caption, fill=_INK, font=font, spacing=2)
    return sheet
