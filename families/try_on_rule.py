"""How a model that dresses people is told of person, garment and mask: data, so that no caller knows families."""

from dataclasses import dataclass
from enum import StrEnum


class TryOnPart(StrEnum):
    """What some channels of a condition show, each as large as the person's latents."""

    MASK = "mask"
    """One channel: 1 where the person is drawn anew."""
    NO_MASK = "no_mask"
    """One channel of zeros: nothing of the garment is drawn anew."""
    PERSON = "person"
    """Latents of the person without what the mask covers."""
    GARMENT = "garment"
    """Latents of the garment."""
    PERSON_POSE = "person_pose"
    """One channel: the person's joints and limbs, -1 (nothing) to 1."""
    GARMENT_POSE = "garment_pose"
    """One channel: those of whoever wears the garment; -1 everywhere where nobody does."""
    CATEGORY = "category"
    """No picture but a number: 0 is no garment, others count `TryOnRule.categories` from 1."""


class StackAxis(StrEnum):
    """Where the garment lies in the latents beside the person."""

    HEIGHT = "height"
    """Below the person, who is above."""
    WIDTH = "width"
    """Right of the person."""


@dataclass(frozen=True, slots=True)
class TryOnCondition:
    """One condition of the denoiser: parts joined along the channels. `garment`: the half of a stacked garment."""

    name: str
    person: tuple[TryOnPart, ...]
    garment: tuple[TryOnPart, ...] = ()


@dataclass(frozen=True, slots=True)
class TryOnRule:
    """`stack` None: latents are the person's alone. `dropped`: parts that are zeros in the negative row of guidance.

    `hidden_level`: the grey, 0 to 255, of the person's pixels under the mask. `unguided_steps`: so many steps at the
    end go without guidance.
    """

    conditions: tuple[TryOnCondition, ...]
    stack: StackAxis | None = None
    dropped: tuple[TryOnPart, ...] = ()
    hidden_level: int = 128
    unguided_steps: int = 0
    categories: tuple[str, ...] = ()

    @property
    def takes_poses(self) -> bool:
        """Whether the model is shown joints and limbs."""
        parts = {part for condition in self.conditions for part in condition.person}
        return bool(parts & {TryOnPart.PERSON_POSE, TryOnPart.GARMENT_POSE})

    def stacked(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of latents whose person has so many."""
        return (
            height * 2 if self.stack is StackAxis.HEIGHT else height,
            width * 2 if self.stack is StackAxis.WIDTH else width,
        )
