"""ONNX Runtime as a runtime, without torch unless tensors are asked for."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from engine.errors import RuntimeUnavailableError
from engine.hardware.memory import within_memory
from engine.runtimes.base import Runtime
from engine.runtimes.rows_apart import RowsApart
from engine.settings import RuntimeSettings
from families.errors import ManifestError
from families.manifest import Component, ModelManifest
from families.repository import ONNX_FILE
from families.tensors import Array, ComponentSignature
from families.vision.manifest import place_of

if TYPE_CHECKING:
    import torch

_GPU_PROVIDERS = ("CUDAExecutionProvider", "ROCMExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider")
_CPU_PROVIDER = "CPUExecutionProvider"
_SMALL_BYTES = 256 * 1024**2
"""Up to here a second session, with its own copy of the weights, is cheap, and threads that meet are dear."""


class OnnxRuntime:
    """An ONNX session. Tensors live in host memory, which the CPU provider reads and writes without a copy."""

    def __init__(self, session: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Names of the session's tensors, in the order of the signature."""
        self._session = session
        self._inputs = tuple(inputs)
        self._outputs = list(outputs)
        self._torch: Any = None

    @property
    def device(self) -> str:
        """Always the host: GPU providers copy for themselves."""
        return "cpu"

    @property
    def host_threads(self) -> int:
        """One: the session's own threads have the cores, and what torch does beside them is tiny."""
        return 1

    @property
    def computes_on_host(self) -> bool:
        """Whether no GPU provider was taken."""
        return bool(self._session.get_providers() == [_CPU_PROVIDER])

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """See the protocol."""
        if self._torch is None:
            self._torch = importlib.import_module("torch")
        outputs = self.run_arrays([tensor.numpy() for tensor in inputs])
        return tuple(self._torch.from_numpy(output) for output in outputs)

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """See the protocol."""
        feed = {name: np.ascontiguousarray(array) for name, array in zip(self._inputs, inputs, strict=True)}
        return tuple(within_memory(self._session.run, self._outputs, feed))


def open_runtime(folder: Path, manifest: ModelManifest, component: Component, settings: RuntimeSettings) -> Runtime:
    """Open `<folder>/model.onnx`. Raises RuntimeUnavailableError when it is missing or is another component's."""
    return open_graph(folder / ONNX_FILE, manifest.signature(component), settings)


def open_graph(path: Path, signature: ComponentSignature, settings: RuntimeSettings) -> Runtime:
    """`open_runtime` for a file and a signature of any origin."""
    threads = settings.thread_count
    whole = _open(path, signature, settings.device, threads)
    size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
    if threads == 1 or size > _SMALL_BYTES or not whole.computes_on_host:
        return whole
    return RowsApart(whole, _open(path, signature, settings.device, threads=1), threads)


def _open(path: Path, signature: ComponentSignature, device: str, threads: int) -> OnnxRuntime:
    if not path.is_file():
        raise RuntimeUnavailableError(f"{path} is missing: the onnxruntime runtime needs the exported graph")
    session = onnxruntime.InferenceSession(str(path), _options(threads), providers=providers_for(device))
    expected = [spec.name for spec in signature.inputs]
    found = [node.name for node in session.get_inputs()]
    if sorted(expected) != sorted(found):
        raise RuntimeUnavailableError(f"{path} takes {found}, but its manifest says {expected}")
    given = [node.name for node in session.get_outputs()]
    try:
        outputs = [place_of(spec.name, given) for spec in signature.outputs]
    except ManifestError as error:
        raise RuntimeUnavailableError(f"{path} is not what its manifest says: {error}") from error
    return OnnxRuntime(session, expected, outputs)


def providers_for(device: str) -> list[str]:
    """Execution providers for a device name, the CPU always last; `auto` takes whichever GPU provider is there."""
    available = onnxruntime.get_available_providers()
    if device == "cpu":
        return [_CPU_PROVIDER]
    gpu = [name for name in _GPU_PROVIDERS if name in available]
    if device != "auto" and not gpu:
        raise RuntimeUnavailableError(f"device {device!r} was asked for, but ONNX Runtime offers only {available}")
    return [*gpu, _CPU_PROVIDER]


def _options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning inside a call makes small models a quarter faster (2 rows of the embedded denoiser on 2 quiet cores:
    # 9.3 ms against 12.9); between calls the pool must sleep, as other components and other software want the cores.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    return options
