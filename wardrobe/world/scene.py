"""A scene is everything the renderer needs and a caption may say; it is sampled from a seed."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np

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

E = TypeVar("E", bound=StrEnum)

HELD_OUT_ONE_IN = 40  # share of attribute combinations that training never sees


@dataclass(frozen=True, slots=True)
class Top:
    """A garment on the torso."""

    kind: TopKind
    colour: Colour
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Bottoms:
    """A garment on the legs."""

    kind: BottomsKind
    colour: Colour
    pattern: Pattern


Garment = Top | Bottoms


@dataclass(frozen=True, slots=True)
class Person:
    """Who wears the clothes."""

    figure: Figure
    hair_colour: HairColour
    hair_style: HairStyle
    skin: Skin
    pose: Pose


@dataclass(frozen=True, slots=True)
class Staging:
    """What no caption says. Offsets are output pixels; `scale` is relative to the standard figure."""

    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0
    mirror: bool = False
    backdrop: int = 0  # which of the variants of the background


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture; raises ValueError for a dress with bottoms or another top without."""

    person: Person
    top: Top
    bottoms: Bottoms | None
    background: Background
    staging: Staging = Staging()

    def __post_init__(self) -> None:
        if (self.bottoms is None) != (self.top.kind is TopKind.DRESS):
            raise ValueError(f"a {self.top.kind} with bottoms {self.bottoms}: only a dress goes without")

    @property
    def combination(self) -> str:
        """The attributes as one string: two scenes that differ only in staging share it."""
        person = self.person
        words: list[str] = [person.figure, person.hair_colour, person.hair_style, person.skin, person.pose]
        words += [self.top.colour, self.top.pattern, self.top.kind]
        if self.bottoms is not None:
            words += [self.bottoms.colour, self.bottoms.pattern, self.bottoms.kind]
        return "/".join([*words, self.background])

    @property
    def is_held_out(self) -> bool:
        """True for combinations kept from training; a property of the attributes alone."""
        digest = hashlib.sha256(self.combination.encode()).digest()
        return int.from_bytes(digest[:4], "big") % HELD_OUT_ONE_IN == 0


DRESS_SHARE = 0.22
BACKDROP_VARIANTS = 4


def sample_scene(rng: np.random.Generator) -> Scene:
    """Draw every attribute independently, so that no combination is a habit."""

    def pick(choices: type[E]) -> E:
        members = list(choices)
        return members[int(rng.integers(len(members)))]

    person = Person(pick(Figure), pick(HairColour), pick(HairStyle), pick(Skin), pick(Pose))
    tops = (TopKind.T_SHIRT, TopKind.SWEATER, TopKind.TANK_TOP)
    dress = rng.random() < DRESS_SHARE
    kind = TopKind.DRESS if dress else tops[int(rng.integers(len(tops)))]
    top = Top(kind, pick(Colour), pick(Pattern))
    bottoms = None if dress else Bottoms(pick(BottomsKind), pick(Colour), pick(Pattern))
    staging = Staging(
        dx=float(rng.uniform(-7, 7)),
        dy=float(rng.uniform(-1.5, 1.5)),
        scale=float(rng.uniform(0.96, 1.04)),
        mirror=bool(rng.random() < 0.5),
        backdrop=int(rng.integers(BACKDROP_VARIANTS)),
    )
    return Scene(person, top, bottoms, pick(Background), staging)


def scenes(seed: int, *, held_out: bool) -> Iterator[Scene]:
    """An endless stream of scenes from one side of the split; the same seed gives the same stream."""
    rng = np.random.default_rng(seed)
    while True:
        scene = sample_scene(rng)
        if scene.is_held_out is held_out:
            yield scene
