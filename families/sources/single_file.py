"""A model in one weights file, with what the file cannot hold in a side folder.

`<stem>.config/` beside the file is laid out like a diffusers folder and says what is special about this file;
`shared.config/` in the same directory does so for all its neighbours. Configurations that neither has are those of the
family's published architecture. Nothing is ever fetched.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from families.errors import CheckpointError
from families.sources.configs import ConfigFolders, packaged_configs
from families.sources.identify import Checkpoint, identify
from families.sources.probes import check_config
from families.sources.read import WEIGHTS_SUFFIXES
from families.sources.weights import CONFIG_FILE, PartWeights, folder_weights

SIDE_SUFFIX = ".config"
SHARED_FOLDER = f"shared{SIDE_SUFFIX}"
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True, slots=True)
class SingleFile:
    """A recognised weights file and the folders that complete it. Implements `families.sources.parts.Parts`."""

    path: Path
    checkpoint: Checkpoint
    configs: ConfigFolders

    def weights(self, part: str) -> PartWeights:
        """The part from the file itself, else from a side folder. Raises CheckpointError, ManifestError."""
        found = self.checkpoint.part(part)
        if found is not None and not found.overlay:
            check_config(self.checkpoint.header, found, self.configs)
            return PartWeights(part, self.configs.find(f"{part}/{CONFIG_FILE}"), (self.path,))
        sides = self.configs.roots[:2]
        for root in sorted(
            (root for root in sides if (root / part).is_dir()), key=lambda root: not _filled(root / part)
        ):
            beside = folder_weights(root, part)
            return beside if found is None else replace(beside, overlay=self.path)
        held = ", ".join(other.name for other in self.checkpoint.parts)
        has = (
            f"holds {held} but no {part}" if found is None else f"holds only some layers of the {part}, for a whole one"
        )
        raise CheckpointError(
            f"{self.path} {has}: put {part}/{CONFIG_FILE} and its weights (safetensors) into {sides[0]} or {sides[1]}"
        )


def _filled(folder: Path) -> bool:
    """Whether there are weights, and not just a configuration."""
    return any(path.suffix in WEIGHTS_SUFFIXES for path in folder.iterdir())


def open_single_file(path: Path) -> SingleFile:
    """Recognise `path` by its content. Raises CheckpointError."""
    if _SHARD.search(path.stem):
        raise CheckpointError(
            f"{path} is one shard of several: keep shards in a diffusers folder with their index, or merge them"
        )
    checkpoint = identify(path)
    roots = (path.with_suffix(SIDE_SUFFIX), path.parent / SHARED_FOLDER, packaged_configs(checkpoint.family))
    return SingleFile(path, checkpoint, ConfigFolders(roots))
