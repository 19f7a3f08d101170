"""Cloth: a garment's colour and pattern as a picture to cut shapes from.

Every feature is at least 5 output pixels, so that it survives an autoencoder with 8 px cells.
"""

import math
from functools import lru_cache

from PIL import Image, ImageDraw

from wardrobe.world.attributes import Colour, Pattern
from wardrobe.world.canvas import SUPERSAMPLING, WORK, Frame, Point
from wardrobe.world.palette import GARMENT, accent, mix

STRIPE_PERIOD = 11.0
STRIPE_ACCENT = 5.0
DOT_PERIOD = 10.0
DOT_RADIUS = 2.7
CHECK_PERIOD = 13.0
CHECK_BAND = 6.5


@lru_cache(maxsize=256)
def _cloth(colour: Colour, pattern: Pattern, unit: float) -> Image.Image:
    """A cloth wider than the canvas by more than one period; `unit` is working pixels per figure pixel."""
    base, second = GARMENT[colour], accent(colour)
    side = WORK + math.ceil(2 * CHECK_PERIOD * unit)
    cloth = Image.new("RGB", (side, side), base)
    pen = ImageDraw.Draw(cloth)
    if pattern is Pattern.STRIPED:
        for row in range(math.ceil(side / (STRIPE_PERIOD * unit))):
            top = row * STRIPE_PERIOD * unit
            pen.rectangle((0, top, side, top + STRIPE_ACCENT * unit), fill=second)
    elif pattern is Pattern.DOTTED:
        step, radius = DOT_PERIOD * unit, DOT_RADIUS * unit
        count = math.ceil(side / step) + 1
        for row in range(2 * count):
            for column in range(count):
                x = (column + 0.5 * (row % 2)) * step
                y = row * step / 2
                # every other half-row is shifted: a hexagon-like lattice with equal gaps
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=second)
    elif pattern is Pattern.CHECKED:
        period, band = CHECK_PERIOD * unit, CHECK_BAND * unit
        count = math.ceil(side / period)
        half = mix(base, second, 0.5)
        for k in range(count):
            pen.rectangle((k * period, 0, k * period + band, side), fill=half)
        for k in range(count):
            pen.rectangle((0, k * period, side, k * period + band), fill=half)
        for i in range(count):
            for k in range(count):
                x, y = i * period, k * period
                pen.rectangle((x, y, x + band, y + band), fill=second)
    return cloth


def _period(pattern: Pattern) -> float:
    return {Pattern.STRIPED: STRIPE_PERIOD, Pattern.DOTTED: DOT_PERIOD, Pattern.CHECKED: CHECK_PERIOD}.get(pattern, 1.0)


def cloth(colour: Colour, pattern: Pattern, frame: Frame, anchor: Point, zoom: float = 1.0) -> Image.Image:
    """The cloth over the working canvas, its pattern's origin pinned to `anchor` of the figure.

    `zoom` enlarges the pattern along with an enlarged garment (a flat-lay).
    """
    unit = SUPERSAMPLING * zoom
    whole = _cloth(colour, pattern, unit)
    period = _period(pattern) * unit
    x, y = frame.at(anchor)
    left, top = round(-x % period), round(-y % period)
    return whole.crop((left, top, left + WORK, top + WORK))
