"""Components that answer once a call in Triton's Python backend: what the dynamic batcher gathered is one batch."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from engine.components import run_batch
from engine.errors import AdapterError, InvalidRequestError
from engine.runtimes import Runtime
from families.lora.use import LoraUse
from families.serving_mark import ServingMark
from families.tensors import Array, ComponentSignature
from triptych.triton.models.arguments import parse_arguments
from triptych.triton.models.ending import leave_objects_to_the_exit
from triptych.triton.models.lora_rows import lora_rows
from triptych.triton.models.opening import open_published

_log = logging.getLogger(__name__)


class TritonPythonModel:
    """See Triton's Python backend. torch loads only if the chosen runtime is torch."""

    _runtime: Runtime
    _signature: ComponentSignature
    _max_batch: int
    _mark: ServingMark

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open the version folder. An exception makes Triton refuse the model with its message."""
        arguments = parse_arguments(args)
        self._signature, self._runtime = open_published(arguments)
        self._max_batch = max(1, arguments.max_batch)
        self._mark = ServingMark(arguments.version_folder)

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
        return [self._alone(rows) for rows in inputs]

    def finalize(self) -> None:
        """Nothing is in flight any more, and the process ends with this."""
        leave_objects_to_the_exit()

    def _inputs(self, request: Any) -> "_Rows":
        arrays = [pb_utils.get_input_tensor_by_name(request, spec.name).as_numpy() for spec in self._signature.inputs]
        return _Rows(arrays, lora_rows(request, len(arrays[0])))

    def _alone(self, rows: "_Rows") -> Any:
        try:
            return self._run([rows])[0]
        except Exception as error:
            _log.exception("the component failed")
            return _failure(error)

    def _run(self, inputs: Sequence["_Rows"]) -> list[Any]:
        columns = zip(*(rows.arrays for rows in inputs), strict=True)
        batch = inputs[0].arrays if len(inputs) == 1 else [np.concatenate(column) for column in columns]
        loras = [use for rows in inputs for use in rows.loras]
        outputs = run_batch(self._runtime, batch, max_batch=self._max_batch, loras=loras)
        responses = []
        start = 0
        for rows in inputs:
            end = start + len(rows.arrays[0])
            tensors = [
                pb_utils.Tensor(spec.name, output[start:end])
                for spec, output in zip(self._signature.outputs, outputs, strict=True)
            ]
            responses.append(pb_utils.InferenceResponse(tensors))
            start = end
        return responses


@dataclass(frozen=True, slots=True)
class _Rows:
    """One request: an array for each input, and each row's adapters."""

    arrays: list[Array]
    loras: Sequence[tuple[LoraUse, ...]]


def _failure(error: Exception) -> Any:
    if isinstance(error, AdapterError):
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.UNSUPPORTED))
    if isinstance(error, InvalidRequestError):
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
