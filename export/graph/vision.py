"""Whether a vision model's graph is what its manifest says."""

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from export.errors import PublishError
from families.errors import ManifestError
from families.vision.manifest import place_of
from families.vision.source import VisionSource


def files_beside(source: VisionSource) -> list[str]:
    """Names of the files that hold the graph's larger weights. Raises PublishError where manifest and graph differ."""
    graph, manifest = source.graph, source.manifest
    try:
        model = onnx.load(str(graph), load_external_data=False)
    except (OSError, DecodeError) as error:
        raise PublishError(f"{graph} is no ONNX file: {error}") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in weights]
    if inputs != [manifest.input.name]:
        raise PublishError(f"{graph} takes {inputs}, but the manifest of {source.name} says {manifest.input.name!r}")
    outputs = [value.name for value in model.graph.output]
    try:
        for name in manifest.graph_outputs:
            place_of(name, outputs)
    except ManifestError as error:
        raise PublishError(f"{graph} is not what the manifest of {source.name} says: {error}") from error
    entries = (entry for tensor in model.graph.initializer for entry in tensor.external_data)
    names = sorted({entry.value for entry in entries if entry.key == "location"})
    for name in names:
        if Path(name).name != name or not (graph.parent / name).is_file():
            raise PublishError(f"{graph} has weights in {name!r}, which must lie beside it")
    return names
