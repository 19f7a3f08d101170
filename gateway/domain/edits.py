"""Pictures that come in, and what is asked to be done with them."""

from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture file as it came in, not yet looked at. `field` names it in errors.

    `file` stands at its beginning and stays open until the request has been answered.
    """

    field: str
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class Dressing:
    """For models that dress people: how, where the request says it. `thorough`: judge several drawings."""

    thorough: bool
    steps: int | None
    guidance_scale: float | None


@dataclass(frozen=True, slots=True)
class Edit:
    """Draw from `images`, of which the first is the one that is changed.

    `mask`: transparent where the first one is drawn anew; without it, its own transparent parts are.
    `strength` (0, 1]: the part of the steps that is done; None: what suits the edit, less of it with `faithful`.
    `as_references`: models that take reference pictures get them as such.
    `dressing`: the first of `images` is a person, the others are garments.
    """

    images: tuple[PictureFile, ...]
    mask: PictureFile | None = None
    strength: float | None = None
    faithful: bool = False
    as_references: bool = True
    dressing: Dressing | None = None
