"""The closed vocabulary of the wardrobe world. The values are the words captions use."""

from enum import StrEnum


class Figure(StrEnum):
    """Who is in the picture; sets shoulder and hip widths and the face's details."""

    WOMAN = "woman"
    MAN = "man"


class HairColour(StrEnum):
    """The colour of the hair and, darker, the brows."""

    BLACK = "black"
    BROWN = "brown"
    BLONDE = "blonde"
    GINGER = "ginger"
    GREY = "grey"


class HairStyle(StrEnum):
    """The shape of the hair."""

    SHORT = "short"
    LONG = "long"
    CURLY = "curly"
    BUN = "bun"


class Skin(StrEnum):
    """The tone of the skin."""

    LIGHT = "light"
    TAN = "tan"
    DARK = "dark"


class Pose(StrEnum):
    """What the arms do."""

    ARMS_DOWN = "arms down"
    ARMS_RAISED = "arms raised"
    HANDS_ON_HIPS = "hands on hips"
    WAVING = "waving"


class TopKind(StrEnum):
    """What covers the torso; a dress needs no bottoms."""

    T_SHIRT = "t-shirt"
    SWEATER = "sweater"
    TANK_TOP = "tank top"
    DRESS = "dress"


class BottomsKind(StrEnum):
    """What covers the legs."""

    TROUSERS = "trousers"
    SHORTS = "shorts"
    SKIRT = "skirt"


class Colour(StrEnum):
    """The colours of garments."""

    RED = "red"
    ORANGE = "orange"
    YELLOW = "yellow"
    GREEN = "green"
    BLUE = "blue"
    PURPLE = "purple"
    PINK = "pink"
    BROWN = "brown"
    BLACK = "black"
    WHITE = "white"


class Pattern(StrEnum):
    """What is printed on a garment."""

    PLAIN = "plain"
    STRIPED = "striped"
    DOTTED = "dotted"
    CHECKED = "checked"


class Background(StrEnum):
    """The place."""

    WHITE_WALL = "white wall"
    GREY_WALL = "grey wall"
    MINT_WALL = "mint wall"
    MEADOW = "meadow"
    BEACH = "beach"
    CITY = "city"
    SUNSET = "sunset"
    MOUNTAINS = "mountains"


class Part(StrEnum):
    """What a pixel shows. The order is the label value in `Render.labels`."""

    BACKGROUND = "background"
    HAIR = "hair"
    FACE = "face"  # face, neck and chest skin
    ARMS = "arms"
    LEGS = "legs"
    SHOES = "shoes"
    TOP = "top"
    BOTTOMS = "bottoms"
    DRESS = "dress"
