"""Builds the components of a model as a recipe says, skipping what is in the artefact store already."""

import logging
import shutil
import time
from dataclasses import replace
from pathlib import Path

from export.artefacts import fingerprint
from export.artefacts.artefact import (
    PAGE_FILE,
    REPORT_FILE,
    Artefact,
    ArtefactRecord,
    check_hashes,
    describe_files,
    write_record,
)
from export.artefacts.key import KEY_FILE, ArtefactKey
from export.artefacts.source_hashes import SourceHashes
from export.artefacts.space import explain_full_disk, need_space
from export.artefacts.staging import locked, staged
from export.artefacts.store import ArtefactStore
from export.errors import BuildError, CorruptArtefactError, ExportError, VerificationError
from export.progress import Progress, ProgressListener, Stage, ignore_progress
from export.recipe import Recipe, Target, default_recipe
from export.recipe_components import components_of
from export.targets import CompileJob
from export.tensorrt.profiles import check_profiles
from export.verification.report import VerificationReport, dump_report, parse_report
from export.verification.report_page import render_page
from export.workshop import Workshop
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import ONNX_FILE

_log = logging.getLogger(__name__)


class Builder:
    """Builds into the store of one runtime directory."""

    def __init__(self, runtime_dir: Path, progress: ProgressListener = ignore_progress) -> None:
        self.store = ArtefactStore(runtime_dir)
        self._progress = progress
        self._hashes = SourceHashes(self.store.root / "source-hashes.json")

    def build(self, source: ModelSource, recipe: Recipe | None = None) -> tuple[Artefact, ...]:
        """Build what is missing, in the recipe's order; without a recipe, the default one.

        Raises RecipeError, BuildError or VerificationError and leaves nothing half-written.
        """
        recipe = recipe or default_recipe(source.manifest.name)
        check_profiles(source.manifest, recipe)
        workshop = Workshop(source)
        components = components_of(recipe, source.manifest)
        return tuple(self._provide(self._job(source, component, recipe), workshop) for component in components)

    def verify(self, source: ModelSource, recipe: Recipe | None = None) -> tuple[VerificationReport, ...]:
        """Hash a model's artefacts and repeat their checks.

        Raises RecipeError, BuildError where one was never built, CorruptArtefactError where one's files were altered.
        """
        recipe = recipe or default_recipe(source.manifest.name)
        check_profiles(source.manifest, recipe)
        jobs = [self._job(source, component, recipe) for component in components_of(recipe, source.manifest)]
        for job in jobs:
            if self.store.find(source.manifest.name, job.key) is None:
                raise BuildError(f"{_name(job)} is not built for these weights by recipe {recipe.name} yet")
            check_hashes(job.destination)
        workshop = Workshop(source)
        return tuple(workshop.compiler(recipe.target).verify(job, workshop.samples) for job in jobs)

    def key(self, source: ModelSource, component: Component, recipe: Recipe) -> ArtefactKey:
        """The key of what the recipe makes of one component."""
        return fingerprint.artefact_key(source, component, recipe, self.source_hash)

    def graph_key(self, source: ModelSource, component: Component, recipe: Recipe) -> ArtefactKey:
        """The key of the graph that the recipe makes of one component, whatever is compiled from it."""
        return fingerprint.graph_key(source, component, recipe, self.source_hash)

    def source_hash(self, source: ModelSource, component: Component) -> str:
        """The hash of a component's weights and configuration."""
        return self._hashes.of(source, component)

    def served_hash(self, source: ModelSource, component: Component) -> str:
        """The hash of what torch serves of a component: its source, and the adapters beside it."""
        return self._hashes.of_served(source, component)

    def _job(self, source: ModelSource, component: Component, recipe: Recipe) -> CompileJob:
        key, model = self.key(source, component, recipe), source.manifest.name
        onnx = None
        if recipe.target is not Target.ONNX:
            onnx = self.store.folder(model, self.graph_key(source, component, recipe)) / ONNX_FILE
        return CompileJob(source, component, recipe, key, self.store.folder(model, key), onnx)

    def _provide(self, job: CompileJob, workshop: Workshop) -> Artefact:
        """The artefact of a job, built if need be, and before it the graph that an engine is compiled from."""
        artefact = self._usable(job)
        if artefact is not None:
            self._tell(job, Stage.CACHED)
            return artefact
        if job.onnx is not None:
            workshop.compiler(job.key.target).require()  # before the graph, which takes minutes
            key = self.graph_key(job.source, job.component, job.recipe)
            graph = self._provide(replace(job, key=key, destination=job.onnx.parent, onnx=None), workshop)
            job = replace(job, graph_report=parse_report(graph.report_text()))
        try:
            with locked(job.destination, lambda: self._tell(job, Stage.WAITING)):
                # Another process may have built it while we waited.
                artefact = self._usable(job)
                if artefact is None:
                    self._make(job, workshop)
        except OSError as error:
            raise explain_full_disk(error, job) or BuildError(
                f"{job.destination} cannot be written: {error}"
            ) from error
        return artefact or Artefact(job.component, job.key.digest, job.destination)

    def _usable(self, job: CompileJob) -> Artefact | None:
        """The artefact if it is there and whole; a broken one is said and counts as missing."""
        try:
            artefact = self.store.find(job.source.manifest.name, job.key)
            if artefact is not None and job.key.target is not job.recipe.target:
                check_hashes(artefact.folder)  # the engine made of this graph takes its report over
            return artefact
        except CorruptArtefactError as error:
            _log.warning("%s is built anew: %s", _name(job), error)
            self._tell(job, Stage.CORRUPT)
            return None

    def _make(self, job: CompileJob, workshop: Workshop) -> None:
        """Compile and check in a staging folder, which takes the artefact's place only when every check passed."""
        began = time.monotonic()
        need_space(job)
        with staged(job.destination) as folder:

            def step(doing: str, done: float | None) -> None:
                self._progress(Progress(job.source.manifest.name, job.component, Stage.COMPILING, doing, done))

            staging = replace(job, destination=folder, progress=step)
            tool = workshop.compiler(job.key.target)
            self._tell(job, Stage.COMPILING)
            try:
                tool.compile(staging, workshop.samples)
            except ExportError:
                raise
            except Exception as error:
                full = explain_full_disk(error, job)
                raise full or BuildError(f"{_name(job)}: cannot be compiled for {job.key.target}: {error}") from error
            self._tell(job, Stage.VERIFYING)
            report = tool.verify(staging, workshop.samples)
            (folder / REPORT_FILE).write_text(dump_report(report), encoding="utf-8")
            (folder / PAGE_FILE).write_text(render_page(report), encoding="utf-8")
            if not report.passed:
                self._keep_report(job, folder, report)
            (folder / KEY_FILE).write_text(job.key.dump(), encoding="utf-8")
            files, seconds = describe_files(folder), time.monotonic() - began
            facts = {fact.name: fact.value for fact in report.facts}
            created = time.time()
            write_record(
                folder,
                ArtefactRecord(recipe=job.recipe.name, created=created, seconds=seconds, facts=facts, files=files),
            )
        # The report of an earlier attempt would only mislead now.
        shutil.rmtree(self.store.failed_folder(job.source.manifest.name, job.key), ignore_errors=True)
        _log.info("built %s in %.1f s", _name(job), seconds)
        self._tell(job, Stage.BUILT)

    def _keep_report(self, job: CompileJob, folder: Path, report: VerificationReport) -> None:
        """Put the report of a failed build where its reader finds it. Always raises VerificationError."""
        kept = self.store.failed_folder(job.source.manifest.name, job.key)
        kept.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("verification.*"):
            shutil.copy2(path, kept)
        first = report.failures[0]
        raise VerificationError(
            f"{_name(job)}: {len(report.failures)} of {len(report.checks)} checks failed, the first "
            f"({first.sample}, against {first.comparison}): {first.problem}; all of them: {kept / PAGE_FILE}"
        )

    def _tell(self, job: CompileJob, stage: Stage) -> None:
        self._progress(Progress(job.source.manifest.name, job.component, stage))


def _name(job: CompileJob) -> str:
    return f"{job.source.manifest.name}.{job.component}"
