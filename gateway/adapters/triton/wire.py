"""Domain objects to Triton's tensors and back."""

import numpy as np
from tritonclient.grpc import InferInput, InferResult

from families import denoise_wire as wire
from families.tensors import Array, NamedTensor, TensorSpec
from gateway.adapters.triton.errors import job_error
from gateway.domain.backend import Denoised, DenoiseEvent, DenoiseJob, Preview, StepDone
from gateway.domain.errors import BackendFailed


def infer_input(spec: TensorSpec, array: Array) -> InferInput:
    """`array` as the input that `spec` names."""
    tensor = InferInput(spec.name, list(array.shape), spec.dtype.value)
    tensor.set_data_from_numpy(np.ascontiguousarray(array, dtype=spec.dtype.numpy))
    return tensor


def read_output(result: InferResult, spec: TensorSpec) -> Array:
    """The output that `spec` names. Raises BackendFailed when it is not there."""
    array: Array | None = result.as_numpy(spec.name)
    if array is None:
        raise BackendFailed(f"Triton's answer lacks the output {spec.name}")
    return array


def job_inputs(job: DenoiseJob, conditions: tuple[TensorSpec, ...]) -> list[InferInput]:
    """Every input of the denoiser; `conditions` are the model's own, in its order."""
    values: dict[str, NamedTensor] = {tensor.name: tensor for tensor in job.conditions}
    controls: tuple[tuple[TensorSpec, object], ...] = (
        (wire.SEEDS, job.seeds),
        (wire.STEPS, [job.steps]),
        (wire.GUIDANCE_SCALE, [job.guidance_scale]),
        (wire.SCHEDULER, [job.scheduler.encode()]),
        (wire.LATENT_SIZE, [job.latent_height, job.latent_width]),
        (wire.PRIORITY, [job.priority]),
        (wire.DETERMINISTIC, [job.deterministic]),
        (wire.PREVIEW_STEPS, job.preview_steps),
        (wire.PROGRESS, [job.progress]),
    )
    inputs = [infer_input(spec, np.asarray(value, dtype=spec.dtype.numpy)) for spec, value in controls]
    return inputs + [infer_input(spec, values[spec.name].array) for spec in conditions]


def read_event(result: InferResult) -> DenoiseEvent:
    """One response of the denoiser's stream. Raises the BackendError that it tells of."""
    kind = int(read_output(result, wire.EVENT)[0])
    step = int(read_output(result, wire.STEP)[0])
    if kind == wire.EVENT_PROGRESS:
        return StepDone(step)
    if kind == wire.EVENT_FAILED:
        code, message = (str(part, "utf-8", "replace") for part in read_output(result, wire.FAILURE))
        raise job_error(wire.FailureCode(code), message)
    latents = read_output(result, wire.LATENTS).astype(np.float32, copy=False)
    if kind == wire.EVENT_PREVIEW:
        return Preview(step, latents)
    if kind == wire.EVENT_FINISHED:
        return Denoised(latents)
    raise BackendFailed(f"Triton's denoiser sent an event of unknown kind {kind}")
