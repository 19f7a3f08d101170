"""Try-on pairs: one person twice, before and after putting on a garment, and the garment laid flat."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from wardrobe.world.attributes import BottomsKind, Colour, Pattern, TopKind
from wardrobe.world.scene import Bottoms, E, Garment, Scene, Top, scenes

# Who takes off a dress needs the other half: always the same one, so that there is one right answer.
SPARE_TOP = Top(TopKind.T_SHIRT, Colour.WHITE, Pattern.PLAIN)
SPARE_BOTTOMS = Bottoms(BottomsKind.TROUSERS, Colour.BLACK, Pattern.PLAIN)


@dataclass(frozen=True, slots=True)
class TryOnPair:
    """`after` is `before` wearing `garment`; person, pose, place and the other garment stay as they are."""

    before: Scene
    garment: Garment
    after: Scene


def dress(scene: Scene, garment: Garment) -> Scene:
    """The scene after its person put on `garment`; whoever wore a dress gets a spare other half."""
    if isinstance(garment, Bottoms):
        top = SPARE_TOP if scene.bottoms is None else scene.top
        return replace(scene, top=top, bottoms=garment)
    bottoms = None if garment.kind is TopKind.DRESS else scene.bottoms or SPARE_BOTTOMS
    return replace(scene, top=garment, bottoms=bottoms)


def reversed_pair(pair: TryOnPair) -> TryOnPair | None:
    """Putting the old garment on again; None where that does not lead back, as after a dress."""
    old: Garment | None = pair.before.bottoms if isinstance(pair.garment, Bottoms) else pair.before.top
    if old is None or dress(pair.after, old) != pair.before:
        return None
    return TryOnPair(pair.after, old, pair.before)


def sample_garment(rng: np.random.Generator) -> Garment:
    """A top, a dress or bottoms; each of the seven kinds equally often."""
    kinds: list[TopKind | BottomsKind] = [*TopKind, *BottomsKind]
    kind = kinds[int(rng.integers(len(kinds)))]
    colour, pattern = _pick(Colour, rng), _pick(Pattern, rng)
    return Top(kind, colour, pattern) if isinstance(kind, TopKind) else Bottoms(kind, colour, pattern)


def tryon_pairs(seed: int, *, held_out: bool) -> Iterator[TryOnPair]:
    """An endless stream whose people, before and after, are all from one side of the split."""
    rng = np.random.default_rng([seed, 1])
    for scene in scenes(seed, held_out=held_out):
        garment = sample_garment(rng)
        after = dress(scene, garment)
        if after.is_held_out is held_out and after != scene:
            yield TryOnPair(scene, garment, after)


def _pick(choices: type[E], rng: np.random.Generator) -> E:
    members = list(choices)
    return members[int(rng.integers(len(members)))]
