"""A model as a diffusers pipeline folder: every part in a folder of its own, or where `triptych.json` places it."""

from dataclasses import dataclass, replace
from pathlib import Path

from families.sources.configs import ConfigFolders
from families.sources.placed import PlacedPart, placed_parts
from families.sources.weights import PartWeights, part_weights


@dataclass(frozen=True, slots=True)
class DiffusersFolder:
    """Implements `families.sources.parts.Parts`. Weights are looked for only when they are asked for."""

    path: Path
    placed: tuple[PlacedPart, ...] = ()

    @property
    def configs(self) -> ConfigFolders:
        """The folder itself, and those of parts that lie elsewhere."""
        return ConfigFolders((self.path,), tuple((part.name, part.folder) for part in self.placed))

    def weights(self, part: str) -> PartWeights:
        """`<folder>/<part>`, or its place. Raises CheckpointError naming what is missing."""
        placed = next((other for other in self.placed if other.name == part), PlacedPart(part, self.path / part))
        weights = part_weights(placed.folder, part)
        return weights if placed.overlay is None else replace(weights, overlay=placed.overlay)


def open_diffusers_folder(path: Path) -> DiffusersFolder:
    """Read where its parts are placed. Raises ManifestError naming the key that does not fit."""
    return DiffusersFolder(path, placed_parts(path))
