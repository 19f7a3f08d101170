"""What is to be published of one component, and which files its Triton models need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from export.errors import PublishError
from export.publishing.options import Backend, PublishOptions, Runtime
from export.publishing.served_models import Entry, entries
from export.sources import published_weights
from families.catalog import ModelSource
from families.lora.files import usable_loras
from families.manifest import Component
from families.repository import LORAS_FOLDER, ONNX_FILE, PLAN_FILE, WEIGHTS_FOLDER, plan_file


class Payload(StrEnum):
    """What a Triton model computes from."""

    ONNX = "onnx"
    PLAN = "plan"
    WEIGHTS = "weights"


_OF_RUNTIME = {
    Runtime.ONNXRUNTIME: Payload.ONNX,
    Runtime.TORCH: Payload.WEIGHTS,
    Runtime.TENSORRT: Payload.PLAN,
    Runtime.TENSORRT_RTX: Payload.PLAN,
}
_OF_BACKEND = {Backend.ONNXRUNTIME: Payload.ONNX, Backend.TENSORRT: Payload.PLAN}
_ENGINE_DESCRIPTION = "engine*.json"
"""What an engine was built for; TensorRT's runtime reads it."""


@dataclass(frozen=True, slots=True)
class GpuEngine:
    """An artefact folder with the engine for one type of GPU, by its compute capability such as 8.9."""

    compute_capability: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Publication:
    """One component as it goes into a repository.

    `artefact` is the folder with its graph or engine, None where the weights themselves are served. `engines` replace
    the artefact's engine where GPUs of several types share the repository. `weights_key` changes whenever the weights,
    or what was compiled from them, do.
    """

    source: ModelSource
    component: Component
    options: PublishOptions
    artefact: Path | None
    weights_key: str
    engines: tuple[GpuEngine, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Its Triton models."""
        return entries(self.component, self.options)

    def engine_files(self, entry: Entry) -> tuple[tuple[str, str], ...]:
        """(compute capability, file) for `cc_model_filenames`; none where one engine serves all."""
        if entry.runs_python(self.options):
            return ()
        return tuple((engine.compute_capability, plan_file(engine.compute_capability)) for engine in self.engines)


def payload(entry: Entry, options: PublishOptions) -> Payload:
    """What an entry computes from."""
    return _OF_RUNTIME[options.runtime] if entry.runs_python(options) else _OF_BACKEND[options.backend]


def needs_artefact(component: Component, options: PublishOptions) -> bool:
    """Whether a component is served from a compiled file, or from the model's own weights."""
    return any(payload(entry, options) is not Payload.WEIGHTS for entry in entries(component, options))


def linked_files(publication: Publication, entry: Entry) -> Iterator[tuple[Path, Path]]:
    """(file, its place in the version folder). Raises PublishError where the artefact lacks what the entry needs."""
    kind = payload(entry, publication.options)
    if kind is Payload.WEIGHTS:
        for path, place in published_weights(publication.source, publication.component):
            yield path, WEIGHTS_FOLDER / place
        for lora in usable_loras(publication.source, publication.component):
            yield lora.path, Path(LORAS_FOLDER) / f"{lora.name}.safetensors"
    elif kind is Payload.PLAN and publication.engines:
        for engine in publication.engines:
            for path in _found(publication, entry, engine.folder, PLAN_FILE):
                yield path, Path(plan_file(engine.compute_capability))
    else:
        pattern = f"{ONNX_FILE}*" if kind is Payload.ONNX else PLAN_FILE  # over 2 GB, the weights lie beside the graph
        folder = publication.artefact
        for path in _found(publication, entry, folder, pattern):
            yield path, Path(path.name)
        if kind is Payload.PLAN and folder is not None:
            for path in sorted(folder.glob(_ENGINE_DESCRIPTION)):
                yield path, Path(path.name)


def _found(publication: Publication, entry: Entry, folder: Path | None, pattern: str) -> list[Path]:
    found = sorted(folder.glob(pattern)) if folder is not None else []
    if not found:
        name, options = entry.name(publication.source.manifest.name), publication.options
        how = f"runtime {options.runtime}" if entry.runs_python(options) else f"backend {options.backend}"
        target = "a TensorRT target" if pattern == PLAN_FILE else "the target onnx"
        raise PublishError(
            f"{name}: the {how} needs {pattern.rstrip('*')}, which {folder or 'no artefact'} has not: build it by a "
            f"recipe with {target}"
        )
    return found
