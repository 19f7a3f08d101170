"""From model folders to a repository that Triton can serve: build, verify and publish whatever is missing."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from export.build import Builder, ProgressListener, Stage, ignore_progress
from export.options import PublishOptions
from export.publish import SEAL_FILE, Publication, needs_artefact, publish
from families.catalog import ModelSource, discover
from families.manifest import Component, triton_model_name
from families.repository import REPOSITORY_FOLDER


def prepare(
    models_dirs: Iterable[Path],
    runtime_dir: Path,
    options: PublishOptions,
    progress: ProgressListener = ignore_progress,
) -> Path:
    """Build and publish every model of `models_dirs`; the repository folder.

    Models that are no longer there leave the repository. When nothing is to do this takes milliseconds and imports no
    tensor library. Raises ManifestError, BuildError, VerificationError or PublishError.
    """
    repository = runtime_dir / REPOSITORY_FOLDER
    sources = tuple(discover(models_dirs).values())
    for source in sources:
        prepare_model(source, runtime_dir, repository, options, progress)
    _withdraw_others(repository, sources)
    return repository


def prepare_model(
    source: ModelSource,
    runtime_dir: Path,
    repository: Path,
    options: PublishOptions,
    progress: ProgressListener = ignore_progress,
) -> None:
    """Build, if need be, and publish the components of one model."""
    builder = Builder(runtime_dir, progress=progress)
    compiled = tuple(component for component in Component if needs_artefact(component, options))
    artefacts = {artefact.component: artefact for artefact in builder.build(source, compiled)}
    for component in Component:
        artefact = artefacts.get(component)
        publication = Publication(
            source,
            component,
            options,
            artefact=artefact.folder if artefact else None,
            weights_key=artefact.key if artefact else builder.source_hash(source, component),
        )
        changed = publish(publication, repository)
        progress(source.manifest.name, component, Stage.PUBLISHED if changed else Stage.UNCHANGED)


def _withdraw_others(repository: Path, sources: Iterable[ModelSource]) -> None:
    """Remove published models whose source is gone; folders that we did not publish stay."""
    kept = {triton_model_name(source.manifest.name, component) for source in sources for component in Component}
    for seal in sorted(repository.glob(f"*/*/{SEAL_FILE}")):
        folder = seal.parent.parent
        if folder.name not in kept:
            shutil.rmtree(folder)
