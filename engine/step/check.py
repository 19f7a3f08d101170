"""Whether a request fits the model; asked before it enters the engine, so that a bad one never meets others' rows."""

import math

import torch

from engine.errors import InvalidRequestError
from engine.request import DenoiseRequest, NamedCondition
from families.manifest import GuidanceKind, ModelManifest
from families.schedulers import SchedulerName, supported_schedulers
from families.tensors import TensorSpec

# Torch's generators take any signed or unsigned 64-bit number.
_SEED_LIMITS = (-(2**63), 2**64 - 1)


def check_request(request: DenoiseRequest, manifest: ModelManifest) -> SchedulerName:
    """The request's scheduler. Raises InvalidRequestError naming the first value that does not fit."""
    if not request.seeds:
        raise InvalidRequestError("seeds must name at least one image")
    for seed in request.seeds:
        if not _SEED_LIMITS[0] <= seed <= _SEED_LIMITS[1]:
            raise InvalidRequestError(f"seed {seed} does not fit into 64 bits")
    limit = manifest.noise.num_train_timesteps
    if not 1 <= request.steps <= limit:
        raise InvalidRequestError(f"steps must be from 1 to {limit}, got {request.steps}")
    if not (math.isfinite(request.guidance_scale) and request.guidance_scale >= 0):
        raise InvalidRequestError(f"guidance scale must be a finite number of at least 0, got {request.guidance_scale}")
    most = manifest.size.maximum // manifest.latent.downscale
    if not (1 <= request.latent_height <= most and 1 <= request.latent_width <= most):
        size = f"{request.latent_height}x{request.latent_width}"
        raise InvalidRequestError(f"latent sides must be from 1 to {most}, got {size}")
    for step in request.preview_steps:
        if not 1 <= step <= request.steps:
            raise InvalidRequestError(f"preview step {step} is not one of the steps 1 to {request.steps}")
    _check_conditions(request, manifest)
    return _scheduler(request.scheduler, manifest)


def rows_per_image(request: DenoiseRequest, manifest: ModelManifest) -> int:
    """2 (negative, positive) under classifier-free guidance, which diffusers leaves out at a scale of 1 or less."""
    return 2 if request.guidance_scale > 1.0 and manifest.guidance is GuidanceKind.BATCHED else 1


def _scheduler(name: str, manifest: ModelManifest) -> SchedulerName:
    supported = supported_schedulers(manifest.noise.prediction)
    for scheduler in supported:
        if scheduler.value == name:
            return scheduler
    known = ", ".join(scheduler.value for scheduler in supported)
    raise InvalidRequestError(f"scheduler {name!r} is unknown or does not fit this model; supported are {known}")


def _check_conditions(request: DenoiseRequest, manifest: ModelManifest) -> None:
    names = tuple(condition.name for condition in request.conditions)
    if names != manifest.condition_names:
        raise InvalidRequestError(f"conditions must be {list(manifest.condition_names)}, got {list(names)}")
    for condition, spec in zip(request.conditions, manifest.denoiser.inputs[2:], strict=True):
        _check_condition(condition, spec, rows_per_image(request, manifest))


def _check_condition(condition: NamedCondition, spec: TensorSpec, rows: int) -> None:
    shape = tuple(condition.tensor.shape)
    if not shape or shape[0] not in (1, 2):
        raise InvalidRequestError(f"condition {spec.name!r} must lead with an axis of 1 or 2, got the shape {shape}")
    if shape[0] < rows:
        raise InvalidRequestError(f"guidance needs condition {spec.name!r} as negative and positive, got one row")
    dims_fit = len(shape) == len(spec.dims) + 1 and all(
        isinstance(dim, str) or dim == size for dim, size in zip(spec.dims, shape[1:], strict=True)
    )
    if not dims_fit:
        raise InvalidRequestError(f"condition {spec.name!r} must have the shape [rows, {_dims(spec)}], got {shape}")
    expected = torch.from_numpy(spec.dtype.numpy.type(0).reshape(1)).dtype
    if condition.tensor.dtype != expected:
        raise InvalidRequestError(f"condition {spec.name!r} must be {spec.dtype}, got {condition.tensor.dtype}")


def _dims(spec: TensorSpec) -> str:
    return ", ".join(str(dim) for dim in spec.dims)
