"""The fixed list of captions on which the models are measured."""

from dataclasses import dataclass
from functools import cache

from wardrobe.world.captions import Wording, caption
from wardrobe.world.scene import Scene, scenes

SEED = 2024
COUNT = 200


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A caption that names every attribute of a scene which training never saw."""

    caption: str
    scene: Scene


@cache
def heldout_captions() -> tuple[HeldOut, ...]:
    """Always the same 200, all different."""
    chosen: dict[str, HeldOut] = {}
    for scene in scenes(SEED, held_out=True):
        number = len(chosen)
        wording = Wording(clothes_first=number % 4 == 3, place_form=number % 2, pose_form=number % 3 % 2)
        text = caption(scene, wording)
        chosen.setdefault(text, HeldOut(text, scene))
        if len(chosen) == COUNT:
            break
    return tuple(chosen.values())
