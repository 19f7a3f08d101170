"""Contact sheets: pictures in a grid, each with its caption below."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

MARGIN = 14
GAP = 16
PAPER = (250, 249, 246)
TEXT = (66, 62, 70)
FRAME = (222, 219, 212)
FONT_SIZE = 12


def contact_sheet(
    pictures: Sequence[Image.Image], captions: Sequence[str], columns: int = 6, picture_size: int = 192
) -> Image.Image:
    """One RGB image. Captions are wrapped; every row is as high as its longest caption needs.

    Raises ValueError for no pictures or another number of captions.
    """
    if not pictures or len(pictures) != len(captions):
        raise ValueError(f"{len(pictures)} pictures with {len(captions)} captions")
    font = ImageFont.load_default(FONT_SIZE)
    columns = min(columns, len(pictures))
    texts = [_wrap(caption, font, picture_size) for caption in captions]
    line_height = FONT_SIZE + 4
    rows = [range(start, min(start + columns, len(pictures))) for start in range(0, len(pictures), columns)]
    heights = [picture_size + 8 + line_height * max(len(texts[k]) for k in row) for row in rows]
    width = 2 * MARGIN + columns * picture_size + (columns - 1) * GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + sum(heights) + GAP * (len(rows) - 1)), PAPER)
    pen = ImageDraw.Draw(sheet)
    y = MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, k in enumerate(row):
            x = MARGIN + column * (picture_size + GAP)
            picture = pictures[k].convert("RGB").resize((picture_size, picture_size), Image.Resampling.BICUBIC)
            sheet.paste(picture, (x, y))
            pen.rectangle((x - 1, y - 1, x + picture_size, y + picture_size), outline=FRAME)
            for number, line in enumerate(texts[k]):
                pen.text((x, y + picture_size + 6 + number * line_height), line, fill=TEXT, font=font)
        y += height + GAP
    return sheet


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
