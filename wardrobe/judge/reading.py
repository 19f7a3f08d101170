"""What the judge says about one picture."""

from dataclasses import dataclass, fields
from enum import StrEnum

from wardrobe.world.attributes import (
    Background,
    BottomsKind,
    Colour,
    HairColour,
    HairStyle,
    Pattern,
    Pose,
    Skin,
    TopKind,
)
from wardrobe.world.scene import Scene


@dataclass(frozen=True, slots=True)
class Reading:
    """The attributes seen; the three of the bottoms are None for a dress."""

    top_kind: TopKind
    top_colour: Colour
    top_pattern: Pattern
    bottoms_kind: BottomsKind | None
    bottoms_colour: Colour | None
    bottoms_pattern: Pattern | None
    background: Background
    hair_colour: HairColour
    hair_style: HairStyle
    pose: Pose
    skin: Skin


# One classifier head per attribute; where `optional`, the last class stands for None.
HEADS: dict[str, tuple[type[StrEnum], bool]] = {
    "top_kind": (TopKind, False),
    "top_colour": (Colour, False),
    "top_pattern": (Pattern, False),
    "bottoms_kind": (BottomsKind, True),
    "bottoms_colour": (Colour, True),
    "bottoms_pattern": (Pattern, True),
    "background": (Background, False),
    "hair_colour": (HairColour, False),
    "hair_style": (HairStyle, False),
    "pose": (Pose, False),
    "skin": (Skin, False),
}
ATTRIBUTES = tuple(field.name for field in fields(Reading))


def head_sizes() -> dict[str, int]:
    """Number of classes per head, with the one for None."""
    return {name: len(kind) + optional for name, (kind, optional) in HEADS.items()}


def reading_of(scene: Scene) -> Reading:
    """The right answer for a rendered scene."""
    bottoms = scene.bottoms
    return Reading(
        top_kind=scene.top.kind,
        top_colour=scene.top.colour,
        top_pattern=scene.top.pattern,
        bottoms_kind=bottoms.kind if bottoms else None,
        bottoms_colour=bottoms.colour if bottoms else None,
        bottoms_pattern=bottoms.pattern if bottoms else None,
        background=scene.background,
        hair_colour=scene.person.hair_colour,
        hair_style=scene.person.hair_style,
        pose=scene.person.pose,
        skin=scene.person.skin,
    )


def to_classes(reading: Reading) -> list[int]:
    """Class numbers in the order of `HEADS`."""
    classes = []
    for name, (kind, _) in HEADS.items():
        value = getattr(reading, name)
        classes.append(len(kind) if value is None else list(kind).index(value))
    return classes


def from_classes(classes: list[int]) -> Reading:
    """The inverse of `to_classes`."""
    values: list[StrEnum | None] = []
    for (kind, _), number in zip(HEADS.values(), classes, strict=True):
        members = list(kind)
        values.append(members[number] if number < len(members) else None)
    return Reading(*values)  # type: ignore[arg-type]
