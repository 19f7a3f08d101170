"""Which artefacts somebody still needs: a published model, or a recipe that would find them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from export.artefacts.store import StoredArtefact
from export.build import Builder
from export.errors import ExportError
from export.plan import plan
from export.publishing.seal import SEAL_FILE, read_seal
from export.recipe import Recipe, Target
from families.catalog import ModelSource
from families.errors import FamilyError


@dataclass(frozen=True, slots=True)
class StoredUse:
    """An artefact and who needs it: names of recipes and of published models; nobody where it is empty."""

    artefact: StoredArtefact
    users: tuple[str, ...]


def stored_uses(
    builder: Builder, sources: Iterable[ModelSource], recipes: Iterable[Recipe], repositories: Iterable[Path]
) -> tuple[StoredUse, ...]:
    """Every stored artefact with its users."""
    users = _published(repositories)
    known = {source.manifest.name: source for source in sources}
    for recipe in recipes:
        if recipe.model in known:
            for digest in _wanted(builder, known[recipe.model], recipe):
                users.setdefault(digest, []).append(f"recipe {recipe.name}")
    return tuple(
        StoredUse(stored, tuple(dict.fromkeys(users.get(stored.key.digest, ()))))
        for stored in builder.store.artefacts()
    )


def _wanted(builder: Builder, source: ModelSource, recipe: Recipe) -> Iterable[str]:
    """Keys that a recipe finds, those of the graphs behind its engines included; none of a recipe that does not fit."""
    try:
        steps = plan(builder, source, recipe)
    except (ExportError, FamilyError):
        return
    for step in steps:
        yield step.key.digest
        if step.target is not Target.ONNX:
            yield builder.graph_key(source, step.component, recipe).digest


def _published(repositories: Iterable[Path]) -> dict[str, list[str]]:
    """Names of published models by the key that their seal tells."""
    found: dict[str, list[str]] = {}
    for repository in repositories:
        for path in sorted(repository.glob(f"*/*/{SEAL_FILE}")):
            seal = read_seal(path.parent)
            if seal is not None:
                found.setdefault(seal.weights, []).append(f"published {path.parents[1].name}/{path.parent.name}")
    return found
