"""Text encoder and VAE decoder in Triton's Python backend: what the dynamic batcher gathered runs as one batch."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from engine.components import run_batch
from engine.open import open_component, read_manifest
from engine.runtimes import Runtime
from families.tensors import Array, ComponentSignature
from triptych.triton.models.arguments import parse_arguments

_log = logging.getLogger(__name__)


class TritonPythonModel:
    """See Triton's Python backend. torch loads only if the chosen runtime is torch."""

    _runtime: Runtime
    _signature: ComponentSignature
    _max_batch: int

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open the version folder. An exception makes Triton refuse the model with its message."""
        arguments = parse_arguments(args)
        folder, component = arguments.version_folder, arguments.component
        self._signature = read_manifest(folder).signature(component)
        self._runtime = open_component(folder, component, arguments.runtime, arguments.step.runtime)
        self._max_batch = max(1, arguments.max_batch)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response a request, in order."""
        inputs = [self._inputs(request) for request in requests]
        try:
            return self._run(inputs)
        except Exception as error:
            if len(requests) == 1:
                _log.exception("the component failed")
                return [_failure(error)]
        # Someone's rows broke the batch: alone, only the culprit fails.
        return [self._alone(arrays) for arrays in inputs]

    def _inputs(self, request: Any) -> list[Array]:
        return [pb_utils.get_input_tensor_by_name(request, spec.name).as_numpy() for spec in self._signature.inputs]

    def _alone(self, arrays: list[Array]) -> Any:
        try:
            return self._run([arrays])[0]
        except Exception as error:
            _log.exception("the component failed")
            return _failure(error)

    def _run(self, inputs: Sequence[list[Array]]) -> list[Any]:
        batch = inputs[0] if len(inputs) == 1 else [np.concatenate(column) for column in zip(*inputs, strict=True)]
        outputs = run_batch(self._runtime, batch, max_batch=self._max_batch)
        responses = []
        start = 0
        for arrays in inputs:
            end = start + len(arrays[0])
            tensors = [
                pb_utils.Tensor(spec.name, output[start:end])
                for spec, output in zip(self._signature.outputs, outputs, strict=True)
            ]
            responses.append(pb_utils.InferenceResponse(tensors))
            start = end
        return responses


def _failure(error: Exception) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
