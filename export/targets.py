"""What components can be compiled for: a new target is one member of `Target` and one file with its compiler."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from export.artefacts.key import ArtefactKey
from export.recipe import Recipe, Target
from families.catalog import ModelSource
from families.manifest import Component

if TYPE_CHECKING:
    from export.verification.report import VerificationReport
    from export.verification.samples import ReferenceSamples

StepListener = Callable[[str, float | None], None]
"""Told what a compiler is doing and how much of it is done (0 to 1, None where that cannot be known)."""


def ignore_steps(_doing: str, _done: float | None) -> None:
    """The listener for callers that want none."""


@dataclass(frozen=True, slots=True)
class CompileJob:
    """One component to compile into the empty folder `destination`, as `recipe` says.

    `key` is the artefact's identity; `onnx` the graph that an engine is compiled from (None for the ONNX target), its
    external data beside it. `graph_report` is what that graph's own checks found, None to repeat them. Any thread may
    call `progress`.
    """

    source: ModelSource
    component: Component
    recipe: Recipe
    key: ArtefactKey
    destination: Path
    onnx: Path | None = None
    graph_report: "VerificationReport | None" = None
    progress: StepListener = ignore_steps


class Compiler(Protocol):
    """Fills an artefact folder and checks what it filled it with."""

    def require(self) -> None:
        """Raise BuildError saying what to install where the compiler's library is missing."""

    def compile(self, job: CompileJob, samples: "ReferenceSamples") -> None:
        """Write the artefact's files. Any exception fails the build."""

    def verify(self, job: CompileJob, samples: "ReferenceSamples") -> "VerificationReport":
        """Check the files in `job.destination` against torch."""


def compiler(target: Target) -> Compiler:
    """The compiler of a target; its libraries are imported here and no earlier."""
    match target:
        case Target.ONNX:
            from export.graph.target import OnnxCompiler  # noqa: PLC0415

            return OnnxCompiler()
        case Target.TENSORRT | Target.TENSORRT_RTX:
            from export.tensorrt.compiler import TensorRtCompiler  # noqa: PLC0415

            return TensorRtCompiler(target)
