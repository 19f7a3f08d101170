"""What a build would do, and why: hit, or miss with the fields that differ. Imports no tensor library."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from export.artefacts.key import ArtefactKey, Difference
from export.artefacts.size import estimated_bytes
from export.artefacts.space import free_bytes
from export.build import Builder
from export.errors import CorruptArtefactError
from export.recipe import Recipe, Target
from export.recipe_components import components_of
from export.tensorrt.profiles import check_profiles
from families.catalog import ModelSource
from families.manifest import Component


class Verdict(StrEnum):
    """Whether a build would find an artefact."""

    HIT = "hit"
    MISS = "miss"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One artefact that a recipe needs. `size` is in bytes, estimated unless it is there; `seconds` what the nearest
    one took; `reason` says why it must be built, `changes` what differs from the nearest one that is stored."""

    model: str
    recipe: str
    component: Component
    target: Target
    key: ArtefactKey
    folder: Path
    verdict: Verdict
    size: int
    free: int
    seconds: float | None = None
    reason: str = ""
    changes: tuple[Difference, ...] = ()


def plan(builder: Builder, source: ModelSource, recipe: Recipe) -> tuple[PlannedStep, ...]:
    """Every artefact that building `recipe` would use, in the order of work.

    A graph that only an engine is compiled from is listed where it must be built, too. Weights that were never hashed
    are hashed here, which takes as long as reading them once. Raises RecipeError where the recipe does not fit.
    """
    check_profiles(source.manifest, recipe)
    return tuple(
        step
        for component in components_of(recipe, source.manifest)
        for step in _steps(builder, source, recipe, component)
    )


def _steps(builder: Builder, source: ModelSource, recipe: Recipe, component: Component) -> Iterator[PlannedStep]:
    last = _step(builder, source, recipe, builder.key(source, component, recipe))
    if recipe.target is not Target.ONNX and last.verdict is not Verdict.HIT:
        yield _step(builder, source, recipe, builder.graph_key(source, component, recipe))
    yield last


def _step(builder: Builder, source: ModelSource, recipe: Recipe, key: ArtefactKey) -> PlannedStep:
    model, store = source.manifest.name, builder.store
    folder, free = store.folder(model, key), free_bytes(store.root)
    estimate = estimated_bytes(source, key.component, recipe)
    step = PlannedStep(model, recipe.name, key.component, key.target, key, folder, Verdict.MISS, estimate, free)
    try:
        artefact = store.find(model, key)
    except CorruptArtefactError as error:
        return replace(step, verdict=Verdict.CORRUPT, reason=str(error))
    if artefact is not None:
        record = artefact.record()
        return replace(step, verdict=Verdict.HIT, size=record.size, seconds=record.seconds)
    nearest = store.nearest(model, key)
    if nearest is None:
        return replace(step, reason="never built")
    return replace(
        step,
        reason=f"differs from {nearest.artefact.folder.name}",
        seconds=nearest.artefact.record.seconds,
        changes=nearest.differences,
    )
