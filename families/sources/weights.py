"""The files of one part of a model: its configuration and its tensors."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from families.errors import CheckpointError
from families.sources.read import PICKLE_SUFFIXES

CONFIG_FILE = "config.json"
_INDEX_SUFFIX = ".safetensors.index.json"
OVERLAY_FILE = "overlay.safetensors"
"""In a part's folder: laid over the weights beside it."""
_STANDARD_NAMES = ("diffusion_pytorch_model.safetensors", "model.safetensors")


@dataclass(frozen=True, slots=True)
class PartWeights:
    """One part: `name` is diffusers' folder name, `config` a JSON file, `files` safetensors or one GGUF.

    A file may hold other parts too; its own tensors are found by their names. Where there are several files they are
    the shards that `index` lists. `overlay`: a file whose tensors replace some of theirs.
    """

    name: str
    config: Path
    files: tuple[Path, ...]
    index: Path | None = None
    overlay: Path | None = None

    @property
    def everything(self) -> tuple[tuple[Path, str], ...]:
        """All files with their names: copied side by side into a folder they are the part again, for
        `folder_weights`."""
        own = (self.config, *(() if self.index is None else (self.index,)), *self.files)
        overlay = () if self.overlay is None else ((self.overlay, OVERLAY_FILE),)
        return (*((path, path.name) for path in own), *overlay)


def folder_weights(root: Path, part: str) -> PartWeights:
    """A part that has a folder of its own, `<root>/<part>`. Raises CheckpointError naming what is missing."""
    return part_weights(root / part, part)


def part_weights(folder: Path, part: str) -> PartWeights:
    """A part whose files lie in `folder`. Raises CheckpointError naming what is missing."""
    config = folder / CONFIG_FILE
    if not config.is_file():
        raise CheckpointError(f"{config} is missing")
    overlay = folder / OVERLAY_FILE
    laid_over = overlay if overlay.is_file() else None
    for index in sorted(folder.glob(f"*{_INDEX_SUFFIX}")):
        return PartWeights(part, config, _shards(index), index, laid_over)
    return PartWeights(part, config, (_weights_file(folder),), overlay=laid_over)


def _weights_file(folder: Path) -> Path:
    """The one file that there is, else the one that has diffusers' standard name."""
    named = (path for pattern in ("*.safetensors", "*.gguf") for path in folder.glob(pattern))
    found = sorted(path for path in named if path.name != OVERLAY_FILE)
    standard = [path for path in found if path.name in _STANDARD_NAMES]
    if len(found) == 1 or len(standard) == 1:
        return found[0] if len(found) == 1 else standard[0]
    if found:
        names = ", ".join(path.name for path in found)
        raise CheckpointError(f"{folder} holds several weights files: {names}; keep one")
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES)
    why = f"; {', '.join(pickles)} is a pickle, which is refused: convert it to safetensors" if pickles else ""
    raise CheckpointError(f"{folder} holds no weights (*.safetensors or *.gguf){why}")


def _shards(index: Path) -> tuple[Path, ...]:
    try:
        loaded: Any = json.loads(index.read_text(encoding="utf-8"))
        names = sorted(set(loaded["weight_map"].values()))
        shards = tuple(index.parent / Path(name).name for name in names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index} is no index of safetensors shards: {error}") from error
    missing = [path.name for path in shards if not path.is_file()]
    if missing or not shards:
        raise CheckpointError(f"{index} names {', '.join(missing) or 'no shards'}, which are missing")
    return shards
