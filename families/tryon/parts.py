"""What a parser tells apart in a picture of a person, and what a garment is put on."""

from enum import StrEnum


class BodyPart(StrEnum):
    """What a pixel shows. The order is the value in a label map."""

    BACKGROUND = "background"
    HAIR = "hair"
    FACE = "face"  # face, neck and chest skin
    ARMS = "arms"
    LEGS = "legs"
    SHOES = "shoes"
    TOP = "top"
    BOTTOMS = "bottoms"
    DRESS = "dress"

    @property
    def label(self) -> int:
        """The value in a label map."""
        return _ORDER.index(self)


_ORDER = tuple(BodyPart)


class Category(StrEnum):
    """Which garments of the person a new one replaces."""

    TOPS = "tops"
    BOTTOMS = "bottoms"
    ONE_PIECES = "one-pieces"
