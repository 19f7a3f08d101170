"""What the server's configuration says of try-ons."""

from dataclasses import dataclass

from gateway.domain.tryon import TryOnMode


@dataclass(frozen=True, slots=True)
class ModeOptions:
    """What a mode means where a command is silent. None leaves it to the model; `model` None is the first by name.

    `most_steps`: where `steps` leaves it to the model, at most so many.
    """

    model: str | None
    steps: int | None
    guidance_scale: float | None
    scheduler: str | None
    candidates: int
    refine: bool = False
    most_steps: int | None = None

    def steps_of(self, recommended: int) -> int:
        """For a model that recommends so many."""
        return self.steps or min(recommended, self.most_steps or recommended)


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
