"""Which vision models a command is about: those of `--vision`, or those beside the models of the folders."""

from collections.abc import Sequence
from pathlib import Path

from export.errors import ExportError
from families.embedded import embedded_models
from families.vision.manifest import read_vision_manifest
from families.vision.source import VisionSource, discover_vision, load_vision, with_graph


def chosen_vision(
    named: Sequence[str] | None, directories: Sequence[Path] | None, *, all_models: bool
) -> tuple[VisionSource, ...]:
    """Those of `--vision`; without any, all of the directories where `all_models` of them are meant, or none.

    Raises ExportError or ManifestError.
    """
    if named:
        return tuple(named_vision(text) for text in named)
    return tuple(discover_vision(directories or [embedded_models()]).values()) if all_models else ()


def named_vision(text: str) -> VisionSource:
    """NAME=FOLDER, which holds a vision.json, or NAME=GRAPH.onnx=MANIFEST.json.

    Raises ExportError for another form, ManifestError for what cannot be read.
    """
    match text.split("="):
        case [name, folder] if name and folder:
            return load_vision(Path(folder), name)
        case [name, graph, manifest] if name and graph and manifest:
            return with_graph(name, read_vision_manifest(Path(manifest)), Path(graph))
    raise ExportError(f"--vision {text!r} is neither NAME=FOLDER nor NAME=GRAPH.onnx=MANIFEST.json")
