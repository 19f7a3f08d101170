"""First calls: they compile kernels, fill allocators, and tell what a batch costs."""

import logging
import time

import torch

from engine.request import DenoiseRequest, NamedCondition, References
from engine.runtimes.base import Runtime
from engine.step.bucket import Bucket, RowLimits
from engine.step.conditions import call_conditions
from engine.step.cost import CostModel
from families.manifest import ModelManifest
from families.tensors import LATENT_HEIGHT, LATENT_WIDTH

_log = logging.getLogger(__name__)

# The fastest of these counts: a busy neighbour can only slow a call down.
_REPEATS = 3


def warm_up(runtime: Runtime, manifest: ModelManifest, limits: RowLimits, costs: CostModel) -> None:
    """Measure powers of two up to the row limit at the model's default size.

    Dynamic axes of conditions are what the empty prompt gives; other buckets learn while serving.
    """
    latent = manifest.latent
    height, width = manifest.default_latent_size
    conditions = call_conditions(_empty_request(manifest, height, width), manifest, 1)
    bucket = Bucket((latent.channels, height, width), tuple(tuple(tensor.shape[1:]) for tensor in conditions))
    points: dict[int, float] = {}
    for rows in _row_counts(limits.hard(bucket)):
        inputs = [torch.zeros(rows, latent.channels, height, width), torch.full((rows,), 500.0)]
        inputs += [tensor.expand(rows, *tensor.shape[1:]).contiguous() for tensor in conditions]
        inputs = [tensor.to(runtime.device) for tensor in inputs]
        points[rows] = min(_seconds(runtime, inputs) for _ in range(_REPEATS))
    costs.measured(bucket, points)
    _log.info(
        "%s: %s; batches of up to %d rows",
        manifest.name,
        ", ".join(f"{rows} rows {seconds * 1e3:.1f} ms" for rows, seconds in points.items()),
        costs.cap(bucket),
    )


def _empty_request(manifest: ModelManifest, height: int, width: int) -> DenoiseRequest:
    """A request whose conditions are zeros, of the empty prompt's shape or as large as the latents; so is the picture
    that a model takes apart.
    """
    conditions = []
    sides = {LATENT_HEIGHT: height, LATENT_WIDTH: width}
    for spec in manifest.given:
        shape = [sides.get(dim, 1) if isinstance(dim, str) else dim for dim in spec.dims]
        zero = torch.from_numpy(spec.dtype.numpy.type(0).reshape(1))
        conditions.append(NamedCondition(spec.name, zero.expand(1, *shape)))
    defaults = manifest.defaults
    references = None
    if manifest.layers is not None:
        rows = height // manifest.layers.frames()
        references = References(torch.zeros(rows * width, manifest.latent.channels), ((rows, width),))
    return DenoiseRequest(tuple(conditions), (0,), 1, 0.0, defaults.scheduler, height, width, references=references)


def _row_counts(most: int) -> list[int]:
    counts = [2**power for power in range(most.bit_length()) if 2**power <= most]
    return counts if counts[-1] == most else [*counts, most]


def _seconds(runtime: Runtime, inputs: list[torch.Tensor]) -> float:
    started = time.perf_counter()
    runtime.run(inputs)[0].sum().item()
    return time.perf_counter() - started
