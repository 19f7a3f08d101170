"""Builds components into the artefact store: `<runtime dir>/artefacts/<model>/<component>-<key>/`.

An artefact folder appears by one rename after its checks passed, so a folder that is there is whole and right.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import BuildError, VerificationError
from export.fingerprint import fingerprint
from export.report import VerificationReport, dump_report
from export.source_hashes import SourceHashes
from export.staging import locked, staged
from export.targets import CompileJob, Compiler, Target, compiler
from families.catalog import ModelSource
from families.manifest import Component

if TYPE_CHECKING:
    from export.samples import ReferenceSamples

REPORT_FILE = "verification.json"

_log = logging.getLogger(__name__)


class Stage(StrEnum):
    """Where the work on a component stands."""

    CACHED = "cached"
    COMPILING = "compiling"
    VERIFYING = "verifying"
    BUILT = "built"
    PUBLISHED = "published"
    UNCHANGED = "unchanged"


ProgressListener = Callable[[str, Component, Stage], None]
"""Told model, component and stage, on the calling thread."""


def ignore_progress(_model: str, _component: Component, _stage: Stage) -> None:
    """The listener for callers that want none."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A compiled and verified component. `key` changes whenever its files could."""

    component: Component
    key: str
    folder: Path

    def report_text(self) -> str:
        """The stored verification report as JSON."""
        return (self.folder / REPORT_FILE).read_text(encoding="utf-8")


class Builder:
    """Builds the components of models for one target, skipping what is there already."""

    def __init__(
        self, runtime_dir: Path, target: Target = Target.ONNX, progress: ProgressListener = ignore_progress
    ) -> None:
        self._root = runtime_dir / "artefacts"
        self._target = target
        self._progress = progress
        self._hashes = SourceHashes(self._root / "source-hashes.json")

    def build(self, source: ModelSource, components: Iterable[Component] = tuple(Component)) -> tuple[Artefact, ...]:
        """Build what is missing of a model. Raises BuildError or VerificationError and leaves nothing half-written."""
        jobs = [self._job(source, component) for component in components]
        missing = [job for job in jobs if not job.destination.is_dir()]
        if missing:
            # Here and no earlier: torch takes seconds to import, and most starts find everything built.
            from export.samples import ReferenceSamples  # noqa: PLC0415

            samples = ReferenceSamples(source)
            tool = compiler(self._target)
            for job in missing:
                with locked(job.destination):
                    if not job.destination.is_dir():  # else another process built it while we waited
                        self._make(tool, job, samples)
        for job in jobs:
            if job not in missing:
                self._progress(source.manifest.name, job.component, Stage.CACHED)
        return tuple(Artefact(job.component, job.fingerprint.key, job.destination) for job in jobs)

    def verify(self, source: ModelSource) -> tuple[VerificationReport, ...]:
        """Repeat the checks of a model's artefacts. Raises BuildError where one was never built."""
        from export.samples import ReferenceSamples  # noqa: PLC0415

        samples, tool = ReferenceSamples(source), compiler(self._target)
        jobs = [self._job(source, component) for component in Component]
        for job in jobs:
            if not job.destination.is_dir():
                raise BuildError(f"{source.manifest.name}.{job.component} is not built for these weights yet")
        return tuple(tool.verify(job, samples) for job in jobs)

    def source_hash(self, source: ModelSource, component: Component) -> str:
        """The hash of a component's weights and configuration."""
        return self._hashes.of(source, component)

    def _job(self, source: ModelSource, component: Component) -> CompileJob:
        mark = fingerprint(self._target.value, component, self._hashes.of(source, component))
        folder = self._root / source.manifest.name / f"{component.value}-{mark.key}"
        return CompileJob(source, component, mark, folder)

    def _make(self, tool: Compiler, job: CompileJob, samples: "ReferenceSamples") -> None:
        """Compile and check in a staging folder, which takes the artefact's place only when every check passed."""
        model, began = job.source.manifest.name, time.monotonic()
        with staged(job.destination) as folder:
            staging = replace(job, destination=folder)
            self._progress(model, job.component, Stage.COMPILING)
            try:
                tool.compile(staging, samples)
            except Exception as error:
                raise BuildError(f"{model}.{job.component}: cannot be compiled for {self._target}: {error}") from error
            self._progress(model, job.component, Stage.VERIFYING)
            report = tool.verify(staging, samples)
            if not report.passed:
                kept = job.destination.with_suffix(".failed.json")
                kept.write_text(dump_report(report), encoding="utf-8")
                first = report.failures[0]
                raise VerificationError(
                    f"{model}.{job.component}: {len(report.failures)} of {len(report.checks)} checks failed, the first "
                    f"({first.sample}, against {first.comparison}): {first.problem}; all of them: {kept}"
                )
            (folder / REPORT_FILE).write_text(dump_report(report), encoding="utf-8")
        _log.info("built %s.%s in %.1f s", model, job.component, time.monotonic() - began)
        self._progress(model, job.component, Stage.BUILT)
