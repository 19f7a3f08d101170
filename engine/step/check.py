"""Whether a request fits the model; asked before it enters the engine, so that a bad one never meets others' rows."""

import math
from dataclasses import replace

import torch

from engine.errors import InvalidRequestError
from engine.request import DenoiseRequest, NamedCondition
from engine.step.frames import check_frames
from engine.step.guidance import rows_per_image
from families.manifest import REFERENCE, ModelManifest
from families.schedulers import SchedulerName, supported_schedulers
from families.strength import steps_done
from families.tensors import LATENT_HEIGHT, LATENT_WIDTH, TensorSpec

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
    most_layers = None if manifest.layers is None else manifest.layers.maximum
    rows, columns = manifest.latent_size(manifest.size.maximum, manifest.size.maximum, most_layers)
    for side, most in ((request.latent_height, rows), (request.latent_width, columns)):
        if not 1 <= side <= most:
            size = f"{request.latent_height}x{request.latent_width}"
            raise InvalidRequestError(f"latent sides must be from 1 to {most}, got {size}")
    _check_start(request, manifest)
    done = done_of(request, manifest) or request.steps
    for step in request.preview_steps:
        if not 1 <= step <= done:
            raise InvalidRequestError(f"preview step {step} is not one of the steps 1 to {done}")
    _check_sampling(request)
    _check_conditions(request, manifest)
    _check_references(request, manifest)
    check_frames(request, manifest)
    _check_loras(request)
    return _scheduler(request.scheduler, manifest)


def done_of(request: DenoiseRequest, manifest: ModelManifest) -> int | None:
    """Steps that a request with a start picture does; None where it begins from noise and does all."""
    return (
        None if request.start is None else steps_done(manifest.noise.prediction, request.steps, request.start.strength)
    )


def _check_start(request: DenoiseRequest, manifest: ModelManifest) -> None:
    start = request.start
    if start is None:
        return
    if not (math.isfinite(start.strength) and 0 < start.strength <= 1):
        raise InvalidRequestError(f"strength must be above 0 and at most 1, got {start.strength}")
    if not done_of(request, manifest):
        raise InvalidRequestError(f"a strength of {start.strength:g} is less than one of {request.steps} steps")
    size = (request.latent_height, request.latent_width)
    _check_picture("start latents", start.latents, (1, manifest.latent.channels, *size))
    if start.mask is not None:
        _check_picture("mask", start.mask, tuple(side * manifest.latent.noise_patch for side in size))
        if bool(((start.mask < 0) | (start.mask > 1)).any()):
            raise InvalidRequestError("mask must hold numbers from 0 to 1")


def _check_picture(what: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise InvalidRequestError(f"{what} must have the shape {list(shape)}, got {list(tensor.shape)}")
    if tensor.dtype != torch.float32:
        raise InvalidRequestError(f"{what} must be FP32, got {tensor.dtype}")
    if not bool(torch.isfinite(tensor).all()):
        raise InvalidRequestError(f"{what} must be finite numbers")


def _check_sampling(request: DenoiseRequest) -> None:
    begin, end = request.guidance_interval
    if not 0 <= begin <= end <= 1:
        raise InvalidRequestError(
            f"guidance interval must go from a share of the steps up to a later one, 0 to 1, got {begin} to {end}"
        )
    cache = request.step_cache
    if cache is not None and not (math.isfinite(cache) and cache >= 0):
        raise InvalidRequestError(f"step cache threshold must be a finite number of at least 0, got {cache}")


def _scheduler(name: str, manifest: ModelManifest) -> SchedulerName:
    supported = supported_schedulers(manifest.noise.prediction)
    for scheduler in supported:
        if scheduler.value == name:
            return scheduler
    known = ", ".join(scheduler.value for scheduler in supported)
    raise InvalidRequestError(f"scheduler {name!r} is unknown or does not fit this model; supported are {known}")


def _check_conditions(request: DenoiseRequest, manifest: ModelManifest) -> None:
    names = tuple(condition.name for condition in request.conditions)
    expected = tuple(spec.name for spec in manifest.given)
    if names != expected:
        raise InvalidRequestError(f"conditions must be {list(expected)}, got {list(names)}")
    specs = {spec.name: spec for spec in manifest.denoiser.inputs}
    for condition in request.conditions:
        _check_condition(condition, _sized(specs[condition.name], request), rows_per_image(request, manifest))


def _sized(spec: TensorSpec, request: DenoiseRequest) -> TensorSpec:
    """With the request's own sides where a condition is as large as the latents."""
    sides = {LATENT_HEIGHT: request.latent_height, LATENT_WIDTH: request.latent_width}
    dims = tuple(sides.get(dim, dim) if isinstance(dim, str) else dim for dim in spec.dims)
    return replace(spec, dims=dims)


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


def _check_references(request: DenoiseRequest, manifest: ModelManifest) -> None:
    given, rule = request.references, manifest.references
    if given is None:
        return
    if rule is None:
        raise InvalidRequestError(f"{manifest.name} takes no reference pictures")
    if not 1 <= len(given.sizes) <= rule.most:
        raise InvalidRequestError(f"references must be 1 to {rule.most} pictures, got {len(given.sizes)}")
    channels = next(spec.dims[-1] for spec in manifest.denoiser.inputs if spec.name == REFERENCE)
    cells = sum(height * width for height, width in given.sizes)
    if tuple(given.cells.shape) != (cells, channels):
        raise InvalidRequestError(f"references must be [{cells}, {channels}], got {list(given.cells.shape)}")


def _check_loras(request: DenoiseRequest) -> None:
    names = [use.name for use in request.loras]
    if len(set(names)) < len(names):
        raise InvalidRequestError(f"each LoRA may be named once, got {', '.join(names)}")
    for use in request.loras:
        if not math.isfinite(use.scale):
            raise InvalidRequestError(f"the scale of the LoRA {use.name!r} must be a finite number, got {use.scale}")


def _dims(spec: TensorSpec) -> str:
    return ", ".join(str(dim) for dim in spec.dims)
