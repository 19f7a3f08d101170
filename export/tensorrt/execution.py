"""Runs an engine against torch where the machine can, and says plainly where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from engine.errors import RuntimeUnavailableError
from engine.runtimes.base import Runtime
from engine.runtimes.tensorrt import open_engine
from engine.runtimes.tensorrt_description import EngineDescription
from engine.settings import RuntimeSettings
from export.recipe import Precision
from export.targets import CompileJob
from export.verification.compare import Compared, compare
from export.verification.report import Check, Comparison, Tolerance
from export.verification.samples import ReferenceSamples, Sample
from export.verification.tolerances import tolerance_for

# Kernels of another library sum in another order and, in float32, partly in TF32's 11 bits: what holds for ONNX Runtime
# in float16 is due at least.
_LEAST = Precision.FP16


@dataclass(frozen=True, slots=True)
class _Yardstick:
    """Names of the outputs and how far they may be from torch's."""

    names: tuple[str, ...]
    tolerance: Tolerance


def executed_checks(
    job: CompileJob, description: EngineDescription, samples: ReferenceSamples
) -> tuple[tuple[Check, ...], str]:
    """One check a sample and output; or none, and why the engine was not executed here."""
    if not torch.cuda.is_available():
        return (), "no: this machine has no GPU; only the graph it was compiled from was compared with torch"
    signature = job.source.manifest.signature(job.component)
    try:
        runtime = open_engine(job.destination, signature, RuntimeSettings(device="cuda"))
    except RuntimeUnavailableError as error:
        return (), f"no: {error}"
    module = samples.module(job.component)
    fitting = [sample for sample in samples.of(job.component) if _fits(sample, description)]
    yardstick = _Yardstick(tuple(spec.name for spec in signature.outputs), _tolerance(job))
    checks = (check for sample in fitting for check in _compared(runtime, module, sample, yardstick))
    return tuple(checks), "" if fitting else "no: no sample lies inside of its profiles"


def _fits(sample: Sample, description: EngineDescription) -> bool:
    """Whether some profile takes the sample's shapes."""
    shapes = {tensor.name: tensor.array.shape for tensor in sample.inputs}
    return any(
        all(
            len(limits.max) == len(shapes[limits.name])
            and all(
                low <= side <= high for low, side, high in zip(limits.min, shapes[limits.name], limits.max, strict=True)
            )
            for limits in profile
        )
        for profile in description.profiles
    )


def _tolerance(job: CompileJob) -> Tolerance:
    graph = job.key.graph
    precision = _LEAST if graph.precision is Precision.FP32 else graph.precision
    return tolerance_for(job.component, precision, graph.quantisation)


def _compared(runtime: Runtime, module: nn.Module, sample: Sample, to: _Yardstick) -> Iterator[Check]:
    arrays = [tensor.array for tensor in sample.inputs]
    with torch.inference_mode():
        answer = module(*(torch.from_numpy(array) for array in arrays))
    references = answer if isinstance(answer, tuple) else (answer,)
    for name, value, reference in zip(to.names, runtime.run_arrays(arrays), references, strict=True):
        of = Compared(f"engine, {sample.label}", name, Comparison.TORCH)
        yield compare(of, value, reference.numpy(), to.tolerance)
