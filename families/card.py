"""What a model's own `triptych.json` says beside the configurations: its licence, and how it is best sampled."""

from dataclasses import dataclass
from typing import Any

from families.errors import ManifestError
from families.manifest import SamplingDefaults
from families.sources.configs import ConfigFolders

CARD_FILE = "triptych.json"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is None was not said."""

    licence: str
    maximum_side: int | None
    default_side: int | None
    default_width: int | None
    default_height: int | None
    sampling: dict[str, Any]

    def default_size(self, family: int) -> tuple[int, int]:
        """Width and height in pixels; a side of which the card says nothing is `default_side`, else the family's."""
        side = self.default_side or family
        return self.default_width or side, self.default_height or side

    def defaults(self, family: SamplingDefaults) -> SamplingDefaults:
        """The card's recommendations, where it is silent the family's."""
        return SamplingDefaults(
            steps=int(self.sampling.get("steps", family.steps)),
            guidance_scale=float(self.sampling.get("guidance_scale", family.guidance_scale)),
            scheduler=str(self.sampling.get("scheduler", family.scheduler)),
        )


def read_card(configs: ConfigFolders) -> ModelCard:
    """The card, or an empty one. Raises ManifestError naming the field that does not fit."""
    loaded = configs.read(CARD_FILE) if configs.has(CARD_FILE) else {}
    sampling = loaded.get("sampling", {})
    if not isinstance(sampling, dict):
        raise ManifestError(f"{configs.find(CARD_FILE)}: sampling must be an object")
    return ModelCard(
        licence=str(loaded.get("licence", "unknown")),
        maximum_side=_side(configs, loaded, "maximum_side"),
        default_side=_side(configs, loaded, "default_side"),
        default_width=_side(configs, loaded, "default_width"),
        default_height=_side(configs, loaded, "default_height"),
        sampling=sampling,
    )


def _side(configs: ConfigFolders, loaded: dict[str, Any], field: str) -> int | None:
    value = loaded.get(field)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise ManifestError(f"{configs.find(CARD_FILE)}: {field} must be a number of pixels, got {value!r}")
