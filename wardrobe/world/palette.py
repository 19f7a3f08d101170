"""The colours of the world, as 8-bit sRGB."""

from typing import Final

from wardrobe.world.attributes import Colour, HairColour, Skin

RGB = tuple[int, int, int]

GARMENT: Final[dict[Colour, RGB]] = {
    Colour.RED: (214, 40, 46),
    Colour.ORANGE: (246, 136, 32),
    Colour.YELLOW: (250, 204, 40),
    Colour.GREEN: (46, 148, 72),
    Colour.BLUE: (42, 92, 206),
    Colour.PURPLE: (124, 58, 168),
    Colour.PINK: (246, 140, 186),
    Colour.BROWN: (122, 74, 40),
    Colour.BLACK: (38, 38, 44),
    Colour.WHITE: (248, 248, 250),
}

# A pattern's second colour: white, except where white would not show.
_LIGHT_ACCENT: Final[RGB] = (252, 250, 244)
_ACCENTS: Final[dict[Colour, RGB]] = {Colour.WHITE: (128, 138, 158)}

HAIR: Final[dict[HairColour, RGB]] = {
    HairColour.BLACK: (42, 36, 40),
    HairColour.BROWN: (106, 66, 40),
    HairColour.BLONDE: (240, 206, 110),
    HairColour.GINGER: (206, 92, 36),
    HairColour.GREY: (168, 170, 176),
}

SKIN: Final[dict[Skin, RGB]] = {
    Skin.LIGHT: (252, 220, 196),
    Skin.TAN: (222, 168, 120),
    Skin.DARK: (134, 86, 60),
}

SHOES: Final[RGB] = (72, 66, 78)
INK: Final[RGB] = (48, 38, 44)


def accent(colour: Colour) -> RGB:
    """The second colour of a patterned garment."""
    return _ACCENTS.get(colour, _LIGHT_ACCENT)


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """`a` with `share` (0..1) of `b` in it."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def shade(colour: RGB) -> RGB:
    """The colour of a soft shadow on `colour`; on near-black it turns lighter so that it shows."""
    if sum(colour) < 160:
        return mix(colour, (110, 110, 130), 0.35)
    return mix(colour, (52, 34, 70), 0.28)


def outline(colour: RGB) -> RGB:
    """The line around an area of `colour`."""
    return mix(colour, (44, 30, 46), 0.62)
