"""First calls: they compile kernels, fill allocators, and tell what a batch costs."""

import logging
import time

import torch

from engine.runtimes.base import Runtime
from engine.step.bucket import Bucket, RowLimits
from engine.step.cost import CostModel
from families.manifest import ModelManifest

_log = logging.getLogger(__name__)

# The fastest of these counts: a busy neighbour can only slow a call down.
_REPEATS = 3


def warm_up(runtime: Runtime, manifest: ModelManifest, limits: RowLimits, costs: CostModel) -> None:
    """Measure powers of two up to the row limit at the model's default size.

    Models whose conditions have dynamic axes are measured with the smallest; their buckets learn while serving.
    """
    latent = manifest.latent
    height, width = manifest.size.default_height // latent.downscale, manifest.size.default_width // latent.downscale
    conditions = manifest.denoiser.inputs[2:]
    shapes = tuple(tuple(1 if isinstance(dim, str) else dim for dim in spec.dims) for spec in conditions)
    bucket = Bucket((latent.channels, height, width), shapes)
    points: dict[int, float] = {}
    for rows in _row_counts(limits.hard(bucket)):
        inputs = [torch.zeros(rows, latent.channels, height, width), torch.full((rows,), 500.0)]
        for spec, shape in zip(conditions, shapes, strict=True):
            inputs.append(torch.from_numpy(spec.dtype.numpy.type(0).reshape(1)).expand(rows, *shape).contiguous())
        inputs = [tensor.to(runtime.device) for tensor in inputs]
        points[rows] = min(_seconds(runtime, inputs) for _ in range(_REPEATS))
    costs.measured(bucket, points)
    _log.info(
        "%s: %s; batches of up to %d rows",
        manifest.name,
        ", ".join(f"{rows} rows {seconds * 1e3:.1f} ms" for rows, seconds in points.items()),
        costs.cap(bucket),
    )


def _row_counts(most: int) -> list[int]:
    counts = [2**power for power in range(most.bit_length()) if 2**power <= most]
    return counts if counts[-1] == most else [*counts, most]


def _seconds(runtime: Runtime, inputs: list[torch.Tensor]) -> float:
    started = time.perf_counter()
    runtime.run(inputs)[0].sum().item()
    return time.perf_counter() - started
