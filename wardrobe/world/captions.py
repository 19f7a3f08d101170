"""Scene -> caption. Adjectives stand before their nouns; attributes may be left out, as people do."""

from dataclasses import dataclass

import numpy as np

from wardrobe.world.attributes import Background, BottomsKind, HairStyle, Pattern, Pose
from wardrobe.world.scene import Garment, Person, Scene

PLACES: dict[Background, tuple[str, ...]] = {
    Background.WHITE_WALL: ("in front of a white wall", "against a white wall"),
    Background.GREY_WALL: ("in front of a grey wall", "against a grey wall"),
    Background.MINT_WALL: ("in front of a mint wall", "against a mint wall"),
    Background.MEADOW: ("in a meadow", "standing in a meadow"),
    Background.BEACH: ("on a beach", "at the beach"),
    Background.CITY: ("in a city", "in the city"),
    Background.SUNSET: ("at sunset", "in front of a sunset"),
    Background.MOUNTAINS: ("in the mountains", "in front of mountains"),
}
POSES: dict[Pose, tuple[str, ...]] = {
    Pose.ARMS_DOWN: ("arms down", "with arms down"),
    Pose.ARMS_RAISED: ("arms raised", "with arms raised"),
    Pose.HANDS_ON_HIPS: ("hands on hips", "with hands on hips"),
    Pose.WAVING: ("waving",),
}
OPENINGS = ("", "", "", "a picture of ", "an illustration of ")
BUN = "in a bun"  # the one hair style that is no adjective
PLURAL_KINDS = (BottomsKind.TROUSERS, BottomsKind.SHORTS)


@dataclass(frozen=True, slots=True)
class Wording:
    """Which attributes a caption names, and in which form. The default names all of them."""

    hair_style: bool = True
    hair_colour: bool = True
    skin: bool = True
    pose: bool = True
    top_pattern: bool = True
    bottoms: bool = True
    bottoms_pattern: bool = True
    place: bool = True
    figure: bool = True
    clothes_first: bool = False
    pattern_first: bool = False  # "striped red" instead of "red striped"
    place_first: bool = False
    place_form: int = 0
    pose_form: int = 0
    opening: str = ""


FULL = Wording()


def sample_wording(rng: np.random.Generator) -> Wording:
    """Mostly full captions, often with something left out, sometimes only clothes and place."""
    brief = rng.random() < 0.15  # no word about the person
    keep = 0.78 if rng.random() < 0.6 else 1.0

    def said(probability: float = keep) -> bool:
        return bool(rng.random() < probability)

    return Wording(
        hair_style=said() and not brief,
        hair_colour=said() and not brief,
        skin=said() and not brief,
        pose=said() and not brief,
        top_pattern=said(),
        bottoms=said((keep + 1) / 2),
        bottoms_pattern=said(),
        place=said((keep + 1) / 2),
        figure=said(0.9),
        clothes_first=brief or said(0.3),
        pattern_first=said(0.2),
        place_first=said(0.08),
        place_form=0 if said(0.7) else 1,
        pose_form=0 if said(0.7) else 1,
        opening=OPENINGS[int(rng.integers(len(OPENINGS)))],
    )


def _describe(garment: Garment, pattern: bool, pattern_first: bool) -> str:
    """The words without an article. A pattern left unsaid stands for plain only where the garment is plain."""
    named = pattern or garment.pattern is not Pattern.PLAIN
    words = [garment.colour.value, garment.pattern.value] if named else [garment.colour.value]
    if pattern_first:
        words.reverse()
    return " ".join([*words, garment.kind.value])


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeio' else 'a'} {words}"


def _describe_hair(person: Person, wording: Wording) -> str:
    """For example: long brown hair; grey hair in a bun. Empty where the wording says nothing about hair."""
    colour = [person.hair_colour.value] if wording.hair_colour else []
    if not wording.hair_style:
        return " ".join([*colour, "hair"]) if colour else ""
    if person.hair_style is HairStyle.BUN:
        return " ".join([*colour, "hair", BUN])
    return " ".join([person.hair_style.value, *colour, "hair"])


def caption(scene: Scene, wording: Wording = FULL) -> str:
    """The scene in words, for example: a woman with long brown hair and light skin, arms raised, wearing a red
    striped t-shirt and blue plain trousers, in a meadow."""
    person = scene.person
    who = wording.opening + (f"a {person.figure.value}" if wording.figure else "a person")
    clothes = _with_article(_describe(scene.top, wording.top_pattern, wording.pattern_first))
    if scene.bottoms is not None and wording.bottoms:
        below = _describe(scene.bottoms, wording.bottoms_pattern, wording.pattern_first)
        clothes += " and " + (below if scene.bottoms.kind in PLURAL_KINDS else _with_article(below))
    body = []
    hair = _describe_hair(person, wording)
    if hair:
        body.append(hair)
    if wording.skin:
        body.append(f"{person.skin.value} skin")
    looks = "with " + " and ".join(body) if body else ""
    pose = _form(POSES[person.pose], wording.pose_form) if wording.pose else ""
    place = _form(PLACES[scene.background], wording.place_form) if wording.place else ""
    if wording.clothes_first:
        pieces = [f"{who} wearing {clothes}", looks, pose]
    else:
        pieces = [f"{who} {looks}".strip(), pose, f"wearing {clothes}"]
    pieces = [place, *pieces] if wording.place_first else [*pieces, place]
    return ", ".join(piece for piece in pieces if piece)


def sample_caption(scene: Scene, rng: np.random.Generator) -> str:
    """A caption in a random wording; it never says anything that is not so."""
    return caption(scene, sample_wording(rng))


def _form(forms: tuple[str, ...], which: int) -> str:
    return forms[min(which, len(forms) - 1)]
