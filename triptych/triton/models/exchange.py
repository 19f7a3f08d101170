"""One denoising request on Triton's wire: its inputs read, its answers written."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb_utils

from engine.errors import AdapterError, EngineClosedError, InvalidRequestError, OutOfMemoryError, QueueFullError
from engine.request import DenoiseRequest, LatentStart, NamedCondition, References
from families import denoise_wire as wire
from families.lora.use import LoraUse
from families.tensors import Array, TensorSpec


def read_request(request: Any, conditions: Sequence[TensorSpec]) -> DenoiseRequest:
    """The request's tensors as the engine's request. Raises InvalidRequestError naming the tensor that does not fit."""
    latent_size = _numbers(request, wire.LATENT_SIZE, 2)
    return DenoiseRequest(
        conditions=tuple(
            # A copy: Triton takes its memory back as soon as `execute` returns.
            NamedCondition(spec.name, torch.from_numpy(np.array(_tensor(request, spec))))
            for spec in conditions
        ),
        seeds=tuple(int(seed) for seed in _tensor(request, wire.SEEDS).reshape(-1)),
        steps=int(_numbers(request, wire.STEPS, 1)[0]),
        guidance_scale=float(_numbers(request, wire.GUIDANCE_SCALE, 1)[0]),
        scheduler=_text(request, wire.SCHEDULER),
        latent_height=int(latent_size[0]),
        latent_width=int(latent_size[1]),
        priority=int(_numbers(request, wire.PRIORITY, 1)[0]),
        deterministic=bool(_numbers(request, wire.DETERMINISTIC, 1)[0]),
        preview_steps=tuple(int(step) for step in _tensor(request, wire.PREVIEW_STEPS).reshape(-1)),
        start=_start(request),
        references=_references(request),
        guidance_interval=_interval(request),
        step_cache=_step_cache(request),
        loras=_loras(request),
    )


def _start(request: Any) -> LatentStart | None:
    latents = _optional(request, wire.START_LATENTS)
    if latents is None:
        return None
    mask = _optional(request, wire.MASK)
    return LatentStart(
        latents=torch.from_numpy(latents),
        strength=float(_numbers(request, wire.STRENGTH, 1)[0]),
        mask=None if mask is None else torch.from_numpy(mask),
    )


def _references(request: Any) -> References | None:
    cells = _optional(request, wire.REFERENCES)
    if cells is None:
        return None
    sizes = _tensor(request, wire.REFERENCE_SIZES)
    return References(torch.from_numpy(cells), tuple((int(height), int(width)) for height, width in sizes))


def _interval(request: Any) -> tuple[float, float]:
    given = _optional(request, wire.GUIDANCE_INTERVAL)
    return (0.0, 1.0) if given is None else (float(given[0]), float(given[1]))


def _step_cache(request: Any) -> float | None:
    given = _optional(request, wire.STEP_CACHE)
    return None if given is None else float(given[0])


def _loras(request: Any) -> tuple[LoraUse, ...]:
    names = _optional(request, wire.LORA_NAMES)
    if names is None:
        return ()
    scales = _numbers(request, wire.LORA_SCALES, len(names))
    return tuple(LoraUse(_string(name), float(scale)) for name, scale in zip(names, scales, strict=True))


def wants_progress(request: Any) -> bool:
    """Whether the caller wants to be told of steps. Raises InvalidRequestError."""
    return bool(_numbers(request, wire.PROGRESS, 1)[0])


def event_response(event: int, step: int, latents: torch.Tensor | None = None) -> Any:
    """One response: progress without latents, or a preview or the end with them."""
    tensors = [
        pb_utils.Tensor(wire.EVENT.name, np.array([event], np.int32)),
        pb_utils.Tensor(wire.STEP.name, np.array([step], np.int32)),
    ]
    if latents is not None:
        array = np.ascontiguousarray(latents.to("cpu", torch.float32).numpy())
        tensors.append(pb_utils.Tensor(wire.LATENTS.name, array))
    return pb_utils.InferenceResponse(tensors)


def failure_response(error: Exception) -> Any:
    """The error with what the gateway tells apart: full queue, shutting down, bad values, failure."""
    match error:
        case QueueFullError():
            code = wire.FailureCode.QUEUE_FULL
        case EngineClosedError():
            code = wire.FailureCode.CLOSED
        case AdapterError():
            code = wire.FailureCode.UNSUPPORTED
        case InvalidRequestError():
            code = wire.FailureCode.INVALID
        case OutOfMemoryError():
            code = wire.FailureCode.OUT_OF_MEMORY
        case _:
            code = wire.FailureCode.FAILED
    failure = np.array([code.encode(), str(error).encode()], np.object_)
    return pb_utils.InferenceResponse(
        [
            pb_utils.Tensor(wire.EVENT.name, np.array([wire.EVENT_FAILED], np.int32)),
            pb_utils.Tensor(wire.STEP.name, np.array([0], np.int32)),
            pb_utils.Tensor(wire.FAILURE.name, failure),
        ]
    )


def _tensor(request: Any, spec: TensorSpec) -> Array:
    tensor = pb_utils.get_input_tensor_by_name(request, spec.name)
    if tensor is None:
        raise InvalidRequestError(f"input {spec.name} is missing")
    array: Array = tensor.as_numpy()
    return array


def _optional(request: Any, spec: TensorSpec) -> Any:
    """A copy of the tensor: Triton takes its memory back. None where the request lacks it."""
    tensor = pb_utils.get_input_tensor_by_name(request, spec.name)
    return None if tensor is None else np.array(tensor.as_numpy())


def _numbers(request: Any, spec: TensorSpec, count: int) -> Any:
    array = _tensor(request, spec).reshape(-1)
    if array.size != count:
        raise InvalidRequestError(f"input {spec.name} must have {count} elements, got {array.size}")
    return array


def _text(request: Any, spec: TensorSpec) -> str:
    return _string(_numbers(request, spec, 1)[0])


def _string(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
