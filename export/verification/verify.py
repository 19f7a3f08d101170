"""Holds an ONNX file against the torch module it came from, in ONNX Runtime, on the model's own trajectories."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch

from export.graph.facts import graph_facts
from export.graph.finite import broken_weights
from export.verification.answers import AnsweringModule, Answers, StandIn, answering
from export.verification.compare import Compared, added, compare, histogram
from export.verification.report import Check, Comparison, Histogram, Picture, Tolerance, VerificationReport
from export.verification.samples import ReferenceSamples, Sample
from export.verification.threads import threads_for, torch_threads
from export.verification.tolerances import tolerance_for
from families.catalog import ModelSource
from families.manifest import Component
from families.tensors import Array


@dataclass(frozen=True, slots=True)
class _Reference:
    """A sample and what torch answers to it."""

    sample: Sample
    outputs: tuple[Array, ...]


def verify_onnx(
    source: ModelSource,
    component: Component,
    path: Path,
    samples: ReferenceSamples,
    tolerance: Tolerance | None = None,
    *,
    stand_in: StandIn | None = None,
) -> VerificationReport:
    """Run every check on the ONNX file at `path`; a failed check is in the report, not an exception.

    Without a `tolerance`, float32's is due. `stand_in` answers for a graph that ONNX Runtime cannot open, which the
    report then says. Torch answers first, whole pictures too, and leaves memory before the session opens.
    """
    tolerance = tolerance or tolerance_for(component)
    model = onnx.load(str(path), load_external_data=False)
    checks = [_finite_check("ONNX weights", broken_weights(model, path.parent))]
    facts = graph_facts(model, path)
    del model
    names = [spec.name for spec in source.manifest.signature(component).outputs]
    references, broken, threads = _torch_answers(component, samples)
    checks.append(_finite_check("torch weights", broken))
    end_to_end = samples.end_to_end
    _ = end_to_end.reference
    bins: Histogram | None = None
    pictures: tuple[Picture, ...] = ()
    try:
        with answering(path, source.manifest.signature(component), threads, stand_in) as (answers, executed):
            facts = (*facts, executed)
            for reference in references:
                batch = answers.run([tensor.array for tensor in reference.sample.inputs])
                checks.extend(_sample_checks(answers, names, reference, batch, tolerance))
                for value, wanted in zip(batch, reference.outputs, strict=True):
                    if value.shape == wanted.shape:
                        bins = added(bins, histogram(value, wanted))
            pixels = end_to_end.draw({component: AnsweringModule(answers)})
            checks.append(end_to_end.check(pixels, tolerance))
            pictures = end_to_end.pictures(pixels)
    except Exception as error:  # ONNX Runtime raises half a dozen unrelated classes for a file it cannot load or run
        checks.append(Check("load", path.name, Comparison.TORCH, None, 1.0, False, str(error)))
    name = source.manifest.name
    return VerificationReport(name, component.value, tolerance, tuple(checks), facts, bins, pictures)


def _torch_answers(component: Component, samples: ReferenceSamples) -> tuple[list[_Reference], list[str], int]:
    """Torch's outputs of every sample, the names of weights that are not finite, and the threads to use."""
    prepared = samples.of(component)
    module = samples.module(component)
    threads = threads_for(module)
    broken = [name for name, tensor in module.named_parameters() if not bool(torch.isfinite(tensor).all())]
    references = []
    with torch_threads(threads), torch.inference_mode():
        for sample in prepared:
            answer = module(*(torch.from_numpy(tensor.array) for tensor in sample.inputs))
            outputs = answer if isinstance(answer, tuple) else (answer,)
            references.append(_Reference(sample, tuple(output.numpy() for output in outputs)))
    return references, broken, threads


def _sample_checks(
    answers: Answers, names: Sequence[str], reference: _Reference, batch: list[Array], tolerance: Tolerance
) -> Iterator[Check]:
    """The whole batch against torch, then each row alone against its row in the batch."""
    sample = reference.sample
    for name, value, wanted in zip(names, batch, reference.outputs, strict=True):
        yield compare(Compared(sample.label, name, Comparison.TORCH), value, wanted, tolerance)
    rows = len(sample.inputs[0].array)
    for row in range(rows if rows > 1 else 0):
        alone = answers.run([tensor.array[row : row + 1] for tensor in sample.inputs])
        for name, value, together in zip(names, alone, batch, strict=True):
            of = Compared(f"{sample.label}, row {row}", name, Comparison.ROW_ALONE)
            yield compare(of, value, together[row : row + 1], tolerance)


def _finite_check(sample: str, broken: list[str]) -> Check:
    problem = f"NaN or Inf in {', '.join(broken[:3])}" + (f" and {len(broken) - 3} more" if len(broken) > 3 else "")
    return Check(sample, "", Comparison.FINITE, None if broken else 0.0, 0.0, not broken, problem if broken else "")
