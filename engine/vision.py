"""Vision models: ONNX graphs that ONNX Runtime runs, whatever runs the models that draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import InvalidRequestError, RuntimeUnavailableError
from engine.runtimes.base import Runtime
from engine.runtimes.onnx_runtime import open_graph
from engine.runtimes.turns import taking_turns
from engine.settings import RuntimeSettings
from families.errors import ManifestError
from families.repository import ONNX_FILE
from families.tensors import Array, ComponentSignature, DType, TensorSpec
from families.vision.manifest import MANIFEST_FILE, VisionManifest, read_vision_manifest
from families.vision.reading import read, shown

if TYPE_CHECKING:
    import torch


class VisionRuntime:
    """A graph together with what it is shown and what its answers mean: pixels in, parts, keypoints and alpha out."""

    def __init__(self, graph: Runtime, manifest: VisionManifest) -> None:
        """`graph` gives what `manifest.graph_outputs` names."""
        self._graph = graph
        self._manifest = manifest

    @property
    def device(self) -> str:
        """See the protocol."""
        return self._graph.device

    @property
    def host_threads(self) -> int:
        """See the protocol."""
        return self._graph.host_threads

    @property
    def computes_on_host(self) -> bool:
        """See the protocol."""
        return self._graph.computes_on_host

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """See the protocol."""
        import torch  # noqa: PLC0415 - whoever passes tensors has it

        return tuple(torch.from_numpy(output) for output in self.run_arrays([tensor.numpy() for tensor in inputs]))

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """uint8 [n, height, width, 3]. Raises InvalidRequestError for a size that the manifest does not allow."""
        (given,) = inputs
        try:
            picture = shown(np.asarray(given), self._manifest)
        except ValueError as error:
            raise InvalidRequestError(str(error)) from error
        rows = self._manifest.rows
        answers = [self._graph.run_arrays([picture[at : at + rows]]) for at in range(0, len(picture), rows)]
        outputs = answers[0] if len(answers) == 1 else [np.concatenate(same) for same in zip(*answers, strict=True)]
        return read(outputs, self._manifest, given.shape[1], given.shape[2])


def open_vision(
    folder: Path, settings: RuntimeSettings, graph_file: str | None = ONNX_FILE
) -> tuple[VisionManifest, VisionRuntime]:
    """Open a published version folder, or with `graph_file` None one whose manifest names its graph.

    Raises RuntimeUnavailableError where graph and manifest do not fit.
    """
    try:
        manifest = read_vision_manifest(folder / MANIFEST_FILE)
    except ManifestError as error:
        raise RuntimeUnavailableError(f"{folder / MANIFEST_FILE} cannot be used: {error}") from error
    graph = open_graph(folder / (graph_file or manifest.graph), _graph_signature(manifest), settings)
    return manifest, VisionRuntime(taking_turns(graph, folder, settings.thread_count), manifest)


def _graph_signature(manifest: VisionManifest) -> ComponentSignature:
    sides = ("height", "width")
    dims = (*sides, 3) if manifest.input.layout == "nhwc" else (3, *sides)
    outputs = (TensorSpec(name, DType.FP32, ("answers",)) for name in manifest.graph_outputs)
    return ComponentSignature((TensorSpec(manifest.input.name, DType.FP32, dims),), tuple(outputs))
