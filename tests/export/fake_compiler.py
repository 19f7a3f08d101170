"""A compiler that writes bytes instead of compiling: for tests of everything around one."""

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from export.targets import CompileJob
from export.verification.report import Check, Comparison, Tolerance, VerificationReport
from families.manifest import Component
from families.repository import ONNX_FILE

if TYPE_CHECKING:
    from export.verification.samples import ReferenceSamples


@dataclass
class FakeCompiler:
    """Writes `size` bytes; fails on demand."""

    passes: bool = True
    error: BaseException | None = None
    size: int = 5
    before_end: Callable[[], None] = lambda: None
    compiled: list[Component] = field(default_factory=list)
    jobs: list[CompileJob] = field(default_factory=list)

    def require(self) -> None:
        pass

    def compile(self, job: CompileJob, samples: "ReferenceSamples") -> None:
        self.compiled.append(job.component)
        self.jobs.append(job)
        (job.destination / ONNX_FILE).write_bytes(b"g" * self.size)
        self.before_end()
        if self.error is not None:
            raise self.error

    def verify(self, job: CompileJob, samples: "ReferenceSamples") -> VerificationReport:
        check = Check("sample", "output", Comparison.TORCH, 0.5, 1.0, self.passes, "" if self.passes else "off")
        return VerificationReport("tiny", job.component.value, Tolerance(0.1, 0.0), (check,))


def slow_build(source_folder: str, runtime_dir: str, seconds: float) -> None:
    """Entry of a process of its own: builds the text encoder, which takes `seconds`, and prints its stages."""
    from pathlib import Path

    from export import build, workshop
    from export.recipe import Recipe
    from families.catalog import load_source

    # A process that a shell started in the background, and all below it, would ignore this signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    fake = FakeCompiler(before_end=lambda: time.sleep(seconds))
    workshop.compiler = lambda target: fake
    workshop.Workshop.samples = None  # which nobody reads here: making them would load torch
    recipe = Recipe(name="text", model="tiny", components=(Component.TEXT_ENCODER,))
    builder = build.Builder(Path(runtime_dir), lambda news: sys.stdout.write(f"{news.stage.value}\n"))
    builder.build(load_source(Path(source_folder)), recipe)
