"""From model folders to a repository that Triton can serve: build, verify and publish whatever is missing."""

from collections.abc import Iterable
from pathlib import Path

from export.build import Builder
from export.errors import PublishError
from export.progress import Progress, ProgressListener, Stage, ignore_progress
from export.publishing.options import KEEP_VERSIONS, PublishOptions
from export.publishing.publication import Publication, needs_artefact
from export.publishing.publish import Published, publish, withdraw_others
from export.publishing.vision import publish_vision
from export.recipe import Recipe, default_recipe
from export.recipe_components import components_of
from families.catalog import ModelSource, discover
from families.repository import REPOSITORY_FOLDER
from families.vision.source import discover_vision


def prepare(
    models_dirs: Iterable[Path],
    runtime_dir: Path,
    options: PublishOptions,
    progress: ProgressListener = ignore_progress,
) -> Path:
    """Build and publish every model of `models_dirs`, vision models too; the repository folder.

    Models that are no longer there leave the repository. When nothing is to do this takes milliseconds and imports no
    tensor library. Raises ManifestError, BuildError, VerificationError or PublishError.
    """
    repository = runtime_dir / REPOSITORY_FOLDER
    directories = tuple(models_dirs)
    sources = tuple(discover(directories).values())
    for source in sources:
        prepare_model(source, runtime_dir, repository, options, progress)
    seeing = discover_vision(directories)
    for vision in seeing.values():
        publish_vision(vision, repository, options)
    withdraw_others(repository, (*(source.manifest.name for source in sources), *seeing))
    return repository


def prepare_model(
    source: ModelSource,
    runtime_dir: Path,
    repository: Path,
    options: PublishOptions,
    progress: ProgressListener = ignore_progress,
    *,
    recipe: Recipe | None = None,
    keep: int = KEEP_VERSIONS,
) -> Published:
    """Build, if need be, and publish the components of one model; without a recipe, by the default one.

    Components that the recipe leaves out are built by the default one.
    """
    builder = Builder(runtime_dir, progress)
    fallback = default_recipe(source.manifest.name)
    recipe = recipe or fallback
    if source.merged and not all(needs_artefact(component, options) for component in source.manifest.components):
        raise PublishError(
            f"{source.manifest.name}: torch serves weights as they are; LoRA are merged into graphs and engines alone"
        )
    needed = tuple(component for component in source.manifest.components if needs_artefact(component, options))
    of_recipe = components_of(recipe, source.manifest)
    named = tuple(component for component in needed if component in of_recipe)
    others = tuple(component for component in needed if component not in of_recipe)
    artefacts = {
        artefact.component: artefact
        for chosen, components in ((recipe, named), (fallback, others))
        for artefact in builder.build(source, chosen.model_copy(update={"components": components}))
    }
    publications = []
    for component in source.manifest.components:
        artefact = artefacts.get(component)
        key = artefact.key if artefact else builder.served_hash(source, component)
        publications.append(Publication(source, component, options, artefact.folder if artefact else None, key))
    published = publish(publications, repository, keep)
    for component in source.manifest.components:
        stage = Stage.PUBLISHED if component in published.changed else Stage.UNCHANGED
        progress(Progress(source.manifest.name, component, stage))
    return published
