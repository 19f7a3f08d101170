"""What components can be compiled for: a new target is one member here and one file with its compiler."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from export.fingerprint import Fingerprint
from families.catalog import ModelSource
from families.manifest import Component

if TYPE_CHECKING:
    from export.report import VerificationReport
    from export.samples import ReferenceSamples


class Target(StrEnum):
    """Compilers by name; the name is part of every artefact's key."""

    ONNX = "onnx"


@dataclass(frozen=True, slots=True)
class CompileJob:
    """One component to compile into the empty folder `destination`."""

    source: ModelSource
    component: Component
    fingerprint: Fingerprint
    destination: Path


class Compiler(Protocol):
    """Fills an artefact folder and checks what it filled it with."""

    def compile(self, job: CompileJob, samples: "ReferenceSamples") -> None:
        """Write the artefact's files. Any exception fails the build."""

    def verify(self, job: CompileJob, samples: "ReferenceSamples") -> "VerificationReport":
        """Check the files in `job.destination` against torch."""


def compiler(target: Target) -> Compiler:
    """The compiler of a target; its libraries are imported here and no earlier."""
    match target:
        case Target.ONNX:
            from export.onnx_target import OnnxCompiler  # noqa: PLC0415

            return OnnxCompiler()
