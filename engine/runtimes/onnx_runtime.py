"""ONNX Runtime as a runtime, without torch unless tensors are asked for."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from engine.errors import RuntimeUnavailableError
from engine.settings import RuntimeSettings
from families.manifest import Component, ModelManifest
from families.repository import ONNX_FILE
from families.tensors import Array, ComponentSignature

if TYPE_CHECKING:
    import torch

_GPU_PROVIDERS = ("CUDAExecutionProvider", "ROCMExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider")
_CPU_PROVIDER = "CPUExecutionProvider"


class OnnxRuntime:
    """An ONNX session. Tensors live in host memory, which the CPU provider reads and writes without a copy."""

    def __init__(self, session: Any, signature: ComponentSignature) -> None:
        self._session = session
        self._inputs = tuple(spec.name for spec in signature.inputs)
        self._outputs = [spec.name for spec in signature.outputs]
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
        return tuple(self._session.run(self._outputs, feed))


def open_runtime(folder: Path, manifest: ModelManifest, component: Component, settings: RuntimeSettings) -> OnnxRuntime:
    """Open `<folder>/model.onnx`. Raises RuntimeUnavailableError when it is missing or is another component's."""
    path = folder / ONNX_FILE
    if not path.is_file():
        raise RuntimeUnavailableError(f"{path} is missing: the onnxruntime runtime needs the exported graph")
    session = onnxruntime.InferenceSession(str(path), _options(settings), providers=providers_for(settings.device))
    signature = manifest.signature(component)
    expected = [spec.name for spec in signature.inputs]
    found = [node.name for node in session.get_inputs()]
    if sorted(expected) != sorted(found):
        raise RuntimeUnavailableError(f"{path} takes {found}, but its manifest says {expected}")
    return OnnxRuntime(session, signature)


def providers_for(device: str) -> list[str]:
    """Execution providers for a device name, the CPU always last; `auto` takes whichever GPU provider is there."""
    available = onnxruntime.get_available_providers()
    if device == "cpu":
        return [_CPU_PROVIDER]
    gpu = [name for name in _GPU_PROVIDERS if name in available]
    if device != "auto" and not gpu:
        raise RuntimeUnavailableError(f"device {device!r} was asked for, but ONNX Runtime offers only {available}")
    return [*gpu, _CPU_PROVIDER]


def _options(settings: RuntimeSettings) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = settings.thread_count
    options.inter_op_num_threads = 1
    # Spinning inside a call makes small models a quarter faster (2 rows of the embedded denoiser on 2 quiet cores:
    # 9.3 ms against 12.9); between calls the pool must sleep, as other components and other software want the cores.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    return options
