"""Adapters on disk: those beside a model and those of folders that several models share."""

import logging
from dataclasses import dataclass
from pathlib import Path

from families.catalog import FAMILIES, ModelSource
from families.errors import FamilyError
from families.lora.errors import LoraError
from families.lora.keys import LoraPart, part_of
from families.lora.layout import AdaptedLayer, Layers, Shape, lay_out, survey
from families.manifest import Component
from families.sources.header import FileFormat, Header
from families.sources.identify import locate_part
from families.sources.read import PICKLE_SUFFIXES, read_header
from families.sources.signatures import Naming

_log = logging.getLogger(__name__)

_SUFFIX = ".safetensors"
_WEIGHT = ".weight"


@dataclass(frozen=True, slots=True)
class LoraFile:
    """An adapter by its name, the file's stem. `rank` is the largest of its layers', `size` the file's bytes.

    `problem` says why it cannot be used with the model it was looked at for; then the rest is unknown.
    """

    name: str
    path: Path
    size: int
    rank: int = 0
    parts: frozenset[LoraPart] = frozenset()
    problem: str | None = None

    def adapts(self, component: Component) -> bool:
        """Whether it changes this component."""
        return any(_component(part) is component for part in self.parts)


def find_loras(source: ModelSource) -> tuple[LoraFile, ...]:
    """Every adapter file that belongs to the model or to a shared folder, in the order of names, held against the
    model's own tensors. The first folder that has a name wins. Only headers are read.
    """
    paths: dict[str, Path] = {}
    for folder in source.lora_folders:
        for path in sorted(folder.glob("*")):
            if path.suffix.lower() in (_SUFFIX, *PICKLE_SUFFIXES) and path.is_file():
                paths.setdefault(path.stem, path)
    if not paths:
        return ()
    layers = _model_layers(source)
    files = tuple(_look_at(name, path, layers) for name, path in sorted(paths.items()))
    for file in files:
        if file.problem is not None:
            _log.info("%s: an adapter that it cannot use: %s", source.manifest.name, file.problem)
    return files


def usable_loras(source: ModelSource, component: Component) -> tuple[LoraFile, ...]:
    """Those that change this component."""
    return tuple(file for file in find_loras(source) if file.problem is None and file.adapts(component))


def read_lora(path: Path, layers: Layers) -> tuple[Header, tuple[AdaptedLayer, ...]]:
    """The file's header, and what it holds for these parts. Raises LoraError."""
    header = _header(path)
    return header, lay_out(header, layers)


def _header(path: Path) -> Header:
    try:
        header = read_header(path)
    except FamilyError as error:
        raise LoraError(str(error)) from error
    if header.format is not FileFormat.SAFETENSORS:
        raise LoraError(f"{path}: adapters are read from safetensors files alone")
    return header


def _look_at(name: str, path: Path, layers: Layers) -> LoraFile:
    size = path.stat().st_size
    try:
        header = _header(path)
        parts, rank = survey(header)
        if strangers := parts - layers.keys():
            raise LoraError(f"{path} adapts the {', '.join(sorted(strangers))}, which the model has not")
        # Parts whose layers could not be told are left to the engine, which checks again when it has loaded them.
        lay_out(header, {part: shapes for part, shapes in layers.items() if shapes})
    except LoraError as error:
        return LoraFile(name, path, size, problem=str(error))
    return LoraFile(name, path, size, rank, parts)


def _model_layers(source: ModelSource) -> Layers:
    """Of every part that can be adapted; none of a part whose files are elsewhere or have names of another kind."""
    folders = FAMILIES[source.manifest.family].parts
    found: dict[LoraPart, dict[str, Shape]] = {}
    for component in (Component.DENOISER, Component.TEXT_ENCODER):
        for folder in folders.get(component, ()):
            part = part_of(folder)
            if part is not None:
                found[part] = _part_layers(source, folder)
    return found


def _part_layers(source: ModelSource, folder: str) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    try:
        for file in source.parts.weights(folder).files:
            located = locate_part(read_header(file), folder)
            if located.part.naming is not Naming.DIFFUSERS:
                return {}
            for entry in located.entries:
                if entry.name.endswith(_WEIGHT) and len(entry.shape) > 1:
                    shapes[entry.name.removeprefix(located.part.prefix).removesuffix(_WEIGHT)] = entry.shape
    except FamilyError as error:
        _log.debug("%s: the layers of its %s are unknown: %s", source.manifest.name, folder, error)
        return {}
    return shapes


def _component(part: LoraPart) -> Component:
    return Component.DENOISER if part is LoraPart.DENOISER else Component.TEXT_ENCODER
