"""Checks of an engine: what it says of itself, and its numbers where a GPU can run it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from engine.errors import RuntimeUnavailableError
from engine.runtimes.tensorrt_description import (
    EngineDescription,
    EngineTensor,
    read_description,
)
from export.recipe import Target
from export.targets import CompileJob
from export.tensorrt.execution import executed_checks
from export.verification.report import Check, Comparison, Fact
from export.verification.samples import ReferenceSamples
from families.repository import PLAN_FILE
from families.tensors import DType, TensorSpec

# The libraries' names of the types that cross a component's border.
_DTYPES = {
    DType.FP32: "FLOAT",
    DType.INT32: "INT32",
    DType.INT64: "INT64",
    DType.UINT8: "UINT8",
    DType.BOOL: "BOOL",
}


def engine_checks(job: CompileJob, samples: ReferenceSamples) -> tuple[tuple[Check, ...], tuple[Fact, ...]]:
    """Checks and facts of the engine in `job.destination`."""
    try:
        description = read_description(job.destination)
    except RuntimeUnavailableError as error:
        return (_check("engine.json", str(error)),), ()
    checks = [*_signature_checks(job, description), _plan_check(job.destination, description)]
    executed, not_executed = executed_checks(job, description, samples)
    facts = (
        Fact("engine", f"{description.library} {description.version}, {description.plan_bytes} bytes"),
        Fact("engine for", ", ".join(description.compute_capabilities) or "the library's own choice of GPUs"),
        Fact("engine executed", not_executed or f"on {description.gpu}"),
    )
    return (*checks, *executed), facts


def _signature_checks(job: CompileJob, description: EngineDescription) -> Iterator[Check]:
    """Names, types, ranks and fixed axes of inputs and outputs, and that each profile's range includes its best."""
    signature = job.source.manifest.signature(job.component)
    for kind, specs, tensors in (
        ("inputs", signature.inputs, description.inputs),
        ("outputs", signature.outputs, description.outputs),
    ):
        expected, found = [spec.name for spec in specs], [tensor.name for tensor in tensors]
        problem = "" if sorted(expected) == sorted(found) else f"the engine has {found}, the signature {expected}"
        yield _check(kind, problem)
        by_name = {tensor.name: tensor for tensor in tensors}
        for spec in specs:
            if spec.name in by_name:
                yield _check(f"{kind[:-1]} {spec.name}", _mismatch(spec, by_name[spec.name]))
    wanted, built = len(job.recipe.profiles), len(description.profiles)
    yield _check("profiles", "" if wanted == built else f"{built} where the recipe has {wanted}")
    if job.recipe.target is Target.TENSORRT_RTX:
        asked = job.recipe.engine.compute_capabilities
        other = f"for {description.compute_capabilities}, the recipe says {asked}"
        yield _check("compute capabilities", "" if asked == description.compute_capabilities else other)


def _mismatch(spec: TensorSpec, tensor: EngineTensor) -> str:
    expected = (-1, *spec.triton_dims)
    if tensor.dtype != _DTYPES.get(spec.dtype):
        return f"{tensor.dtype} where {spec.dtype} was due"
    same = len(expected) == len(tensor.shape) and all(
        # A library may know less of an output's axis than the signature, never something else.
        found in {-1, due}
        for due, found in zip(expected, tensor.shape, strict=True)
    )
    return "" if same else f"{tensor.shape} where {expected} was due"


def _plan_check(folder: Path, description: EngineDescription) -> Check:
    plan = folder / PLAN_FILE
    size = plan.stat().st_size if plan.is_file() else 0
    return _check(
        PLAN_FILE, "" if size == description.plan_bytes > 0 else f"{size} bytes, {description.plan_bytes} built"
    )


def _check(about: str, problem: str) -> Check:
    return Check(about, "", Comparison.SIGNATURE, None if problem else 0.0, 0.0, not problem, problem)


def renamed(check: Check, prefix: str) -> Check:
    """The check, said to be of another thing than the engine."""
    return replace(check, sample=f"{prefix}{check.sample}")
