"""Caption -> the attributes it names. Understands the grammar of `captions`, in any order of its pieces."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from wardrobe.world.attributes import (
    Background,
    BottomsKind,
    Colour,
    Figure,
    HairColour,
    HairStyle,
    Pattern,
    Pose,
    Skin,
    TopKind,
)
from wardrobe.world.captions import BUN, PLACES, POSES
from wardrobe.world.scene import Bottoms, Top

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Said:
    """What a caption names; None for what it leaves open. A garment without a pattern is plain."""

    figure: Figure | None
    hair_colour: HairColour | None
    hair_style: HairStyle | None
    skin: Skin | None
    pose: Pose | None
    top: Top | None
    bottoms: Bottoms | None
    background: Background | None


def _any(kind: type[StrEnum]) -> str:
    return "|".join(re.escape(member.value) for member in kind)


_LOOK = rf"(?:({_any(Colour)}) )?(?:({_any(Pattern)}) )?(?:({_any(Colour)}) )?"
_TOP = re.compile(rf"\b{_LOOK}({_any(TopKind)})\b")
_BOTTOMS = re.compile(rf"\b{_LOOK}({_any(BottomsKind)})\b")
_HAIR = re.compile(rf"\b(?:({_any(HairStyle)}) )?(?:({_any(HairColour)}) )?hair\b( {BUN})?")
_SKIN = re.compile(rf"\b({_any(Skin)}) skin\b")


def parse_caption(text: str) -> Said:
    """Read a caption; words outside the grammar are passed over."""
    text = text.lower()
    hair, skin = _HAIR.search(text), _SKIN.search(text)
    top, bottoms = _TOP.search(text), _BOTTOMS.search(text)
    return Said(
        figure=next((figure for figure in Figure if re.search(rf"\b{figure}\b", text)), None),
        hair_colour=_member(HairColour, hair and hair[2]),
        hair_style=HairStyle.BUN if hair and hair[3] else _member(HairStyle, hair and hair[1]),
        skin=_member(Skin, skin and skin[1]),
        pose=next((pose for pose, forms in POSES.items() if any(form in text for form in forms)), None),
        top=Top(TopKind(top[4]), *_look(top)) if top and (top[1] or top[3]) else None,
        bottoms=Bottoms(BottomsKind(bottoms[4]), *_look(bottoms)) if bottoms and (bottoms[1] or bottoms[3]) else None,
        background=next((place for place, forms in PLACES.items() if any(form in text for form in forms)), None),
    )


def _look(match: re.Match[str]) -> tuple[Colour, Pattern]:
    return Colour(match[1] or match[3]), Pattern(match[2]) if match[2] else Pattern.PLAIN


def _member(kind: type[E], word: str | None) -> E | None:
    return kind(word) if word else None
