"""Finds models on disk: diffusers folders and single weights files, and which family each is of."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from families import (
    catvton,
    fashn_vton,
    flux2,
    qwen_image,
    qwen_image_edit,
    qwen_image_layered,
    sd3,
    sdxl,
    stable_diffusion,
)
from families.derived import Derive, nothing
from families.errors import CheckpointError, ManifestError
from families.lora.use import MergedLora
from families.manifest import Component, ModelManifest
from families.repository import LORAS_FOLDER
from families.sources.configs import ConfigFolders
from families.sources.diffusers_folder import open_diffusers_folder
from families.sources.parts import Parts
from families.sources.read import PICKLE_SUFFIXES, WEIGHTS_SUFFIXES, read_header
from families.sources.signatures import SHARED
from families.sources.single_file import SIDE_SUFFIX, open_single_file
from families.sources.weights import PartWeights

_INDEX = "model_index.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Family:
    """A family that can be served."""

    name: str
    pipeline_classes: frozenset[str]
    parts: Mapping[Component, tuple[str, ...]]
    load_manifest: Callable[[ConfigFolders, str], ModelManifest]
    derive: Derive = nothing


# A new family is a new file and one entry here.
_FAMILIES = (
    Family(
        stable_diffusion.FAMILY,
        stable_diffusion.PIPELINE_CLASSES,
        stable_diffusion.PARTS,
        stable_diffusion.load_manifest,
    ),
    Family(
        qwen_image.FAMILY,
        qwen_image.PIPELINE_CLASSES,
        qwen_image.PARTS,
        qwen_image.load_manifest,
        qwen_image.derive,
    ),
    Family(
        qwen_image_edit.FAMILY,
        qwen_image_edit.PIPELINE_CLASSES,
        qwen_image.PARTS,
        qwen_image_edit.load_manifest,
        qwen_image_edit.derive,
    ),
    Family(
        qwen_image_layered.FAMILY,
        qwen_image_layered.PIPELINE_CLASSES,
        qwen_image.PARTS,
        qwen_image_layered.load_manifest,
        qwen_image_layered.derive,
    ),
    Family(sdxl.FAMILY, sdxl.PIPELINE_CLASSES, sdxl.PARTS, sdxl.load_manifest, sdxl.derive),
    Family(flux2.FAMILY, flux2.PIPELINE_CLASSES, flux2.PARTS, flux2.load_manifest, flux2.derive),
    Family(sd3.FAMILY, sd3.PIPELINE_CLASSES, sd3.PARTS, sd3.load_manifest),
    Family(catvton.FAMILY, catvton.PIPELINE_CLASSES, catvton.PARTS, catvton.load_manifest),
    Family(fashn_vton.FAMILY, fashn_vton.PIPELINE_CLASSES, fashn_vton.PARTS, fashn_vton.load_manifest),
    # Which of the two a folder is, its manifest says.
    Family(sd3.FAMILY_WITHOUT_T5, frozenset(), sd3.PARTS_WITHOUT_T5, sd3.load_manifest),
)
FAMILIES: Mapping[str, Family] = {family.name: family for family in _FAMILIES}


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model and what it was read from: `path` is a diffusers folder or a weights file.

    `shared_loras`: folders of adapters beside the model's own. `merged`: adapters that its weights are loaded with.
    """

    manifest: ModelManifest
    path: Path
    parts: Parts
    shared_loras: tuple[Path, ...] = ()
    merged: tuple[MergedLora, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of the model's own side files: the diffusers folder itself, or the weights file's side folder."""
        return self.parts.configs.roots[0]

    @property
    def tokenizer_files(self) -> tuple[Path, ...]:
        """What `families.tokenizers.open_tokenizer` opens, one file for each of the manifest's prompt rules."""
        return tuple(self.parts.configs.find(rule.file) for rule in self.manifest.prompts)

    @property
    def lora_folders(self) -> tuple[Path, ...]:
        """Where adapters for it may lie (`families.lora.files`), its own folder first."""
        return (self.folder / LORAS_FOLDER, *self.shared_loras)

    def weights(self, component: Component) -> tuple[PartWeights, ...]:
        """The files of one component, part by part. Raises CheckpointError or ManifestError naming what is missing."""
        return tuple(self.parts.weights(part) for part in FAMILIES[self.manifest.family].parts[component])


def load_source(path: Path, name: str | None = None) -> ModelSource:
    """Describe a diffusers folder or a weights file, which gives the model its name if there is no other.

    Raises FamilyError.
    """
    return _load_file(path, name or path.stem) if path.is_file() else _load_folder(path, name or path.name)


def discover(directories: Iterable[Path]) -> dict[str, ModelSource]:
    """Every model in these directories by name; the first directory that has a name wins.

    Models are diffusers folders, `*.safetensors` and `*.gguf`. Raises FamilyError for what looks like a model and
    cannot be one: nothing is passed over in silence.
    """
    found: dict[str, ModelSource] = {}
    for directory in directories:
        here: dict[str, Path] = {}
        for path in _candidates(directory):
            name = path.name if path.is_dir() else path.stem
            if name in here:
                raise ManifestError(f"{here[name]} and {path} would both be the model {name}: rename one")
            here[name] = path
        for name, path in here.items():
            if name not in found:
                found[name] = load_source(path)
    return found


def _candidates(directory: Path) -> Iterator[Path]:
    """What must be a model; side folders belong to one."""
    for index in sorted(directory.glob(f"*/{_INDEX}")):
        if index.parent.suffix != SIDE_SUFFIX:
            yield index.parent
    for path in sorted(directory.glob("*")):
        if path.suffix.lower() in PICKLE_SUFFIXES and path.is_file():
            read_header(path)  # which refuses it and says why
        if path.suffix.lower() in WEIGHTS_SUFFIXES and path.is_file():
            yield path


def _load_folder(folder: Path, name: str) -> ModelSource:
    index = folder / _INDEX
    if not index.is_file():
        raise ManifestError(f"{index} is missing: not a diffusers folder")
    parts = open_diffusers_folder(folder)
    pipeline = parts.configs.read(_INDEX).get("_class_name")
    family = next((family for family in _FAMILIES if pipeline in family.pipeline_classes), None)
    if family is None:
        known = sorted(name for family in _FAMILIES for name in family.pipeline_classes)
        raise ManifestError(f"{index} names the pipeline {pipeline!r}; known are {', '.join(known)}")
    return ModelSource(family.load_manifest(parts.configs, name), folder, parts)


def _load_file(path: Path, name: str) -> ModelSource:
    parts = open_single_file(path)
    checkpoint = parts.checkpoint
    if not _NAME.fullmatch(name):
        raise ManifestError(f"{path}: {name!r} cannot name a model; use letters, digits, '.', '_' and '-'")
    held = ", ".join(part.name for part in checkpoint.parts)
    if checkpoint.family in SHARED:
        raise CheckpointError(f"{path} is no model: it holds only {held} ({checkpoint.family}), a part of one")
    family = FAMILIES.get(checkpoint.family)
    if family is None:
        raise CheckpointError(
            f"{path} is of the family {checkpoint.family} ({held}), which is recognised but not served yet; "
            f"served are {', '.join(FAMILIES)}"
        )
    source = ModelSource(family.load_manifest(parts.configs, name), path, parts)
    for component in source.manifest.components:
        source.weights(component)  # a part that is missing is an error now, not when it is first loaded
    return source
