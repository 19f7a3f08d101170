"""Domain objects to Triton's tensors and back."""

from collections.abc import Iterator, Sequence

import numpy as np
from tritonclient.grpc import InferInput, InferResult

from families import denoise_wire as wire
from families.tensors import Array, NamedTensor, TensorSpec
from gateway.adapters.triton.errors import job_error
from gateway.domain.backend import Denoised, DenoiseEvent, DenoiseJob, Latents, Lora, Preview, StepDone
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
    """Every input of the denoiser that the job gives; `conditions` are those of the model's text encoder, in order."""
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
    given = (*controls, *_optional(job))
    inputs = [infer_input(spec, np.asarray(value, dtype=spec.dtype.numpy)) for spec, value in given]
    return inputs + [infer_input(spec, values[spec.name].array) for spec in conditions]


def _optional(job: DenoiseJob) -> Iterator[tuple[TensorSpec, object]]:
    """What only some jobs carry."""
    if job.start is not None:
        yield wire.START_LATENTS, job.start.latents
        yield wire.STRENGTH, [job.start.strength]
        if job.start.mask is not None:
            yield wire.MASK, job.start.mask
    if job.references:
        yield wire.REFERENCES, np.concatenate([_cells(latents) for latents in job.references])
        yield wire.REFERENCE_SIZES, [latents.shape[2:] for latents in job.references]
    if job.guidance_interval != (0.0, 1.0):
        yield wire.GUIDANCE_INTERVAL, job.guidance_interval
    if job.step_cache is not None:
        yield wire.STEP_CACHE, [job.step_cache]
    if job.loras:
        yield wire.LORA_NAMES, [lora.name.encode() for lora in job.loras]
        yield wire.LORA_SCALES, [lora.scale for lora in job.loras]


def lora_inputs(loras: Sequence[Lora], rows: int) -> list[InferInput]:
    """What the text encoder is told of adapters, with its batch axis; nothing where there are none."""
    if not loras:
        return []
    names = np.array([[lora.name.encode() for lora in loras]] * rows, np.object_)
    scales = np.array([[lora.scale for lora in loras]] * rows, np.float32)
    return [infer_input(wire.LORA_NAMES, names), infer_input(wire.LORA_SCALES, scales)]


def _cells(latents: Latents) -> Array:
    """[1, C, h, w] as rows of cells [h * w, C]."""
    cells: Array = latents[0].reshape(latents.shape[1], -1).T
    return cells


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
