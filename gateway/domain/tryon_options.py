"""What the server's configuration says of try-ons."""

from dataclasses import dataclass

from gateway.domain.tryon import TryOnMode

FEW_STEPS = 6
"""The most that few steps are."""
_FEWER = 4
"""What a model recommends is so many times as much as few steps are."""


@dataclass(frozen=True, slots=True)
class ModeOptions:
    """What a mode means where a command is silent. None leaves it to the model; `model` None is the first by name.

    `few_steps`: where `steps` leaves it to the model, a quarter of what it recommends, at most `FEW_STEPS`.
    """

    model: str | None
    steps: int | None
    guidance_scale: float | None
    scheduler: str | None
    candidates: int
    refine: bool = False
    few_steps: bool = False

    def steps_of(self, recommended: int) -> int:
        """For a model that recommends so many."""
        few = min(FEW_STEPS, max(1, recommended // _FEWER))
        return self.steps or (few if self.few_steps else recommended)


@dataclass(frozen=True, slots=True)
class TryOnOptions:
    """Of the server. `ground`: the colour that garments are laid on.

    `parser`, `pose`, `matting`: names of vision models; the last two may be missing.
    """

    fast: ModeOptions
    premium: ModeOptions
    ground: tuple[int, int, int]
    parser: str
    pose: str | None = None
    matting: str | None = None

    def of(self, mode: TryOnMode) -> ModeOptions:
        """The mode's."""
        return self.premium if mode is TryOnMode.PREMIUM else self.fast
