"""Holds an ONNX file against the torch module it came from, in ONNX Runtime, on the model's own trajectories."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import numpy_helper
from torch import nn

from export.report import Check, Comparison, Tolerance, VerificationReport
from export.samples import ReferenceSamples, Sample
from export.threads import threads_for, torch_threads
from families.catalog import ModelSource
from families.manifest import Component
from families.tensors import Array

TOLERANCES: dict[Component, Tolerance] = {
    # float32 against float32: only the order of summation may differ. Outputs are of order 1.
    Component.TEXT_ENCODER: Tolerance(absolute=2e-4, relative=1e-4),
    Component.DENOISER: Tolerance(absolute=2e-4, relative=1e-4),
    # Bytes: a value on the edge of two levels may round either way, and only such values may differ.
    Component.VAE_DECODER: Tolerance(absolute=1.0, relative=0.0, differing=0.01),
}


def verify_onnx(source: ModelSource, component: Component, path: Path, samples: ReferenceSamples) -> VerificationReport:
    """Run every check on the ONNX file at `path`; a failed check is in the report, not an exception."""
    module = samples.module(component)
    threads = threads_for(module)
    tolerance = TOLERANCES[component]
    checks = list(_finite_checks(module, path))
    try:
        session = _open(path, threads)
    except Exception as error:  # ONNX Runtime raises half a dozen unrelated classes for a file it cannot load
        checks.append(Check("load", str(path.name), Comparison.TORCH, None, 1.0, False, str(error)))
    else:
        with torch_threads(threads):
            for sample in samples.of(component):
                checks.extend(_sample_checks(session, module, sample, tolerance))
    return VerificationReport(source.manifest.name, component.value, tolerance, tuple(checks))


def _open(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _sample_checks(
    session: ort.InferenceSession, module: nn.Module, sample: Sample, tolerance: Tolerance
) -> Iterator[Check]:
    """The whole batch against torch, then each row alone against its row in the batch."""
    names = [output.name for output in session.get_outputs()]
    feed = {tensor.name: tensor.array for tensor in sample.inputs}
    with torch.inference_mode():
        expected = module(*(torch.from_numpy(tensor.array) for tensor in sample.inputs))
    references = expected if isinstance(expected, tuple) else (expected,)
    batch = session.run(None, feed)
    for name, value, reference in zip(names, batch, references, strict=True):
        yield _compare(_Compared(sample.label, name, Comparison.TORCH), value, reference.numpy(), tolerance)
    rows = len(sample.inputs[0].array)
    for row in range(rows if rows > 1 else 0):
        alone = session.run(None, {name: array[row : row + 1] for name, array in feed.items()})
        for name, value, together in zip(names, alone, batch, strict=True):
            of = _Compared(f"{sample.label}, row {row}", name, Comparison.ROW_ALONE)
            yield _compare(of, value, together[row : row + 1], tolerance)


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a check is about."""

    sample: str
    output: str
    comparison: Comparison


def _compare(of: _Compared, value: Array, reference: Array, tolerance: Tolerance) -> Check:
    """One output against its reference."""
    sample, output, comparison = of.sample, of.output, of.comparison
    if value.shape != reference.shape or value.dtype != reference.dtype:
        problem = f"{value.dtype}{value.shape} where {reference.dtype}{reference.shape} was due"
        return Check(sample, output, comparison, None, 1.0, False, problem)
    got, wanted = value.astype(np.float64), reference.astype(np.float64)
    if not np.isfinite(got).all() or not np.isfinite(wanted).all():
        side = "torch's own output" if not np.isfinite(wanted).all() else "the output"
        return Check(sample, output, comparison, None, 1.0, False, f"NaN or Inf in {side}")
    difference = np.abs(got - wanted)
    error, differing = float(difference.max(initial=0.0)), float((difference > 0).mean())
    problem = ""
    if bool((difference > tolerance.absolute + tolerance.relative * np.abs(wanted)).any()):
        problem = f"differs by {error:.3g}"
    elif differing > tolerance.differing:
        problem = f"{differing:.2%} of all values differ, {tolerance.differing:.2%} may"
    return Check(sample, output, comparison, error, differing, not problem, problem)


def _finite_checks(module: nn.Module, path: Path) -> Iterator[Check]:
    """Scan weights on both sides: a NaN that ends in uint8 pixels would look like black, not like an error."""
    broken = [name for name, tensor in module.named_parameters() if not bool(torch.isfinite(tensor).all())]
    yield _finite_check("torch weights", broken)
    graph = onnx.load(str(path)).graph
    yield _finite_check("ONNX weights", [item.name for item in graph.initializer if _is_broken(item)])


def _finite_check(sample: str, broken: list[str]) -> Check:
    problem = f"NaN or Inf in {', '.join(broken[:3])}" + (f" and {len(broken) - 3} more" if len(broken) > 3 else "")
    return Check(sample, "", Comparison.FINITE, None if broken else 0.0, 0.0, not broken, problem if broken else "")


def _is_broken(initializer: onnx.TensorProto) -> bool:
    """Minus infinity is allowed: attention masks are made of it."""
    array = numpy_helper.to_array(initializer)
    return bool(np.issubdtype(array.dtype, np.floating) and (np.isnan(array).any() or np.isposinf(array).any()))
