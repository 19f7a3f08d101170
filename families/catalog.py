"""Finds models on disk: which folders hold one, of which family."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from families import stable_diffusion
from families.errors import ManifestError
from families.manifest import ModelManifest

# A new family is a new file and one line here.
_LOADERS: dict[str, Callable[[Path, str], ModelManifest]] = dict.fromkeys(
    stable_diffusion.PIPELINE_CLASSES, stable_diffusion.load_manifest
)


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model and the diffusers folder it was read from."""

    manifest: ModelManifest
    folder: Path

    @property
    def tokenizer_file(self) -> Path:
        """The fast tokenizer's single file (`tokenizers` format)."""
        return self.folder / "tokenizer" / "tokenizer.json"


def load_source(folder: Path) -> ModelSource:
    """Describe one diffusers folder; the model takes the folder's name. Raises ManifestError."""
    index = folder / "model_index.json"
    try:
        pipeline = json.loads(index.read_text(encoding="utf-8")).get("_class_name")
    except FileNotFoundError as error:
        raise ManifestError(f"{index} is missing: not a diffusers folder") from error
    except json.JSONDecodeError as error:
        raise ManifestError(f"{index} is not valid JSON: {error}") from error
    loader = _LOADERS.get(pipeline)
    if loader is None:
        raise ManifestError(f"{index} names the pipeline {pipeline!r}; known are {', '.join(sorted(_LOADERS))}")
    return ModelSource(loader(folder, folder.name), folder)


def discover(directories: Iterable[Path]) -> dict[str, ModelSource]:
    """Every model in these directories by name; the first directory that has a name wins."""
    found: dict[str, ModelSource] = {}
    for directory in directories:
        for index in sorted(directory.glob("*/model_index.json")):
            source = load_source(index.parent)
            found.setdefault(source.manifest.name, source)
    return found
