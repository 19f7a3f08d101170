"""Which models and recipes a command is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export.cli.model_names import Aliases, ModelNames
from export.errors import ExportError, RecipeError
from export.merge import merged_source
from export.recipe import Recipe, default_recipe
from export.recipe_files import find_recipe, load_recipe, recipe_files
from families.catalog import ModelSource


@dataclass(frozen=True, slots=True)
class Work:
    """A model and what to build of it."""

    source: ModelSource
    recipe: Recipe


def chosen_work(
    aliases: Aliases | None,
    names: Sequence[str] | None,
    directories: Sequence[Path] | None,
    recipes: Sequence[str] | None,
) -> tuple[Work, ...]:
    """Models by name, or those that the recipes name, or all of the directories; without a recipe by the default one.

    Raises ExportError naming what is not there, RecipeError for a recipe that cannot be read, FamilyError for a model.
    """
    read = [find_recipe(recipe) for recipe in recipes or ()]
    models = ModelNames(aliases, directories)
    if not read:
        chosen = [models.find(name) for name in names or models.folders]
        if not chosen:
            raise ExportError("models found: none: name their folder with --models-dir")
        return tuple(Work(source, default_recipe(source.manifest.name)) for source in chosen)
    return tuple(
        _work(source, recipe)
        for recipe in read
        for source in ([models.find(name) for name in names] if names else [_of_recipe(models, recipe)])
    )


def _work(source: ModelSource, recipe: Recipe) -> Work:
    merged = merged_source(source, recipe)
    return Work(merged, recipe.model_copy(update={"model": merged.manifest.name}))


def known_recipes(found: dict[str, ModelSource]) -> tuple[Recipe, ...]:
    """The default recipes of models and every recipe on disk that can be read."""
    recipes = [default_recipe(name) for name in found]
    for path in recipe_files().values():
        try:
            recipes.append(load_recipe(path))
        except RecipeError:
            continue
    return tuple(recipes)


def _of_recipe(models: ModelNames, recipe: Recipe) -> ModelSource:
    try:
        return models.find(recipe.model)
    except ExportError as error:
        raise ExportError(f"recipe {recipe.name} is for the model {recipe.model}: {error}") from error
