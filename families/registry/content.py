"""What a path holds, told by its content: format, family, and what is wrong with it. No weights are loaded."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from families import catvton, stable_diffusion
from families.errors import CheckpointError, ManifestError
from families.registry.inventory import Inventory
from families.registry.report import ModelFormat
from families.sources import signatures
from families.sources.identify import identify as identify_checkpoint
from families.sources.placed import placed_parts
from families.sources.read import PICKLE_SUFFIXES, WEIGHTS_SUFFIXES, read_header
from families.vision.manifest import MANIFEST_FILE as VISION_MANIFEST
from families.vision.source import load_vision

_INDEX = "model_index.json"
_MAX_INDEX_BYTES = 1 << 20
ONNX_SUFFIX = ".onnx"
_IR_VERSION = b"\x08"
"""The tag of an ONNX file's first field."""
_GARMENT_UNET = "unet_encoder/config.json"

# Families by the class that a diffusers folder names; those without a loader yet are recognised all the same.
_FAMILIES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(stable_diffusion.PIPELINE_CLASSES, stable_diffusion.FAMILY)
    | {
        "StableDiffusionInpaintPipeline": signatures.INPAINTING,
        "StableDiffusionXLPipeline": signatures.SDXL,
        "StableDiffusionXLInpaintPipeline": signatures.SDXL_INPAINTING,
        "StableDiffusion3Pipeline": signatures.STABLE_DIFFUSION_3,
        "FluxPipeline": signatures.FLUX_1,
        "Flux2Pipeline": signatures.FLUX_2,
        "Flux2KleinPipeline": signatures.FLUX_2,
        "QwenImagePipeline": signatures.QWEN_IMAGE,
        "QwenImageLayeredPipeline": signatures.QWEN_IMAGE_LAYERED,
    }
    | dict.fromkeys(catvton.PIPELINE_CLASSES, catvton.FAMILY)
)


@dataclass(frozen=True, slots=True)
class Content:
    """What was found. `refusal` says why nothing here may be read; `problems` are lesser: missing or ignored files."""

    format: ModelFormat | None = None
    family: str | None = None
    refusal: str | None = None
    problems: tuple[str, ...] = ()


def identify(path: Path, inventory: Inventory) -> Content:
    """Look into the file or folder at `path`; never decided by its name. Raises nothing: what is wrong is reported."""
    if inventory.unreadable and not inventory.files:
        return Content(refusal="it cannot be read")
    if not inventory.is_folder:
        return _file(path)
    if (path / VISION_MANIFEST).is_file():
        return _vision_folder(path)
    if not (path / _INDEX).is_file():
        pickles = _pickles(file.name for file in inventory.files)
        found = f"; it holds {', '.join(pickles)}: pickles are never read" if pickles else ""
        return Content(refusal=f"no {_INDEX}: not a diffusers folder{found}")
    return _diffusers_folder(path, inventory)


def _vision_folder(path: Path) -> Content:
    try:
        return Content(ModelFormat.ONNX, load_vision(path).manifest.task.value)
    except ManifestError as error:
        return Content(refusal=str(error))


def _file(path: Path) -> Content:
    if path.suffix.lower() == ONNX_SUFFIX:
        return _onnx(path)
    try:
        header = read_header(path)
    except CheckpointError as error:
        return Content(refusal=str(error))
    found = ModelFormat(header.format.value)
    try:
        return Content(found, identify_checkpoint(path).family)
    except CheckpointError as error:
        return Content(found, problems=(str(error),))


def _onnx(path: Path) -> Content:
    """What the graph is for, it does not tell."""
    try:
        with path.open("rb") as file:
            begins = file.read(1) == _IR_VERSION
    except OSError as error:
        return Content(refusal=f"{path} cannot be read: {error.strerror or error}")
    return Content(ModelFormat.ONNX) if begins else Content(refusal=f"{path} is no ONNX file")


def _diffusers_folder(path: Path, inventory: Inventory) -> Content:
    index = path / _INDEX
    try:
        if index.stat().st_size > _MAX_INDEX_BYTES:
            return Content(refusal=f"{_INDEX} is larger than {_MAX_INDEX_BYTES} bytes")
        loaded = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return Content(refusal=f"{_INDEX} cannot be read: {error}")
    if not isinstance(loaded, dict):
        return Content(refusal=f"{_INDEX} must be a JSON object")
    names = tuple(file.name for file in inventory.files)
    pipeline = str(loaded.get("_class_name"))
    # IDM-VTON's folder names SDXL's pipeline; the second UNet, which reads the garment, is what tells it apart.
    family = "idm-vton" if _GARMENT_UNET in names else _FAMILIES.get(pipeline)
    unknown = () if family else (f"{_INDEX} names the pipeline {pipeline!r}; known are {', '.join(sorted(_FAMILIES))}",)
    return Content(
        ModelFormat.DIFFUSERS,
        family,
        problems=(
            *unknown,
            *_missing_components(path, loaded, names),
            *_broken_weights(inventory),
            *_ignored_pickles(names),
        ),
    )


def _missing_components(path: Path, index: dict[str, object], names: tuple[str, ...]) -> Iterable[str]:
    """Parts that the index names, as [library, class], and that have no file, or only pickled weights."""
    elsewhere: frozenset[str] = frozenset()
    try:
        elsewhere = frozenset(part.name for part in placed_parts(path))
    except ManifestError as error:
        yield str(error)
    for part, kind in index.items():
        if part.startswith("_") or not isinstance(kind, list) or None in kind or part in elsewhere:
            continue
        inside = [name for name in names if name.startswith(f"{part}/")]
        if not inside:
            yield f"{part}/ is missing"
        elif _pickles(inside) and not any(PurePosixPath(name).suffix.lower() in WEIGHTS_SUFFIXES for name in inside):
            yield f"{part}/ has weights in pickle format only, which are never read"


def _broken_weights(inventory: Inventory) -> Iterable[str]:
    """Headers only: truncated files and pickles under another name show there."""
    for file in inventory.files:
        if file.path.suffix.lower() in WEIGHTS_SUFFIXES:
            try:
                read_header(file.path)
            except CheckpointError as error:
                yield str(error)


def _ignored_pickles(names: Iterable[str]) -> Iterable[str]:
    pickles = _pickles(names)
    if pickles:
        yield f"pickle files are never read: {', '.join(pickles)}"


def _pickles(names: Iterable[str]) -> list[str]:
    return [name for name in names if PurePosixPath(name).suffix.lower() in PICKLE_SUFFIXES]
