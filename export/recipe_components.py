"""Which components of a model a recipe builds."""

from export.errors import RecipeError
from export.recipe import Recipe
from families.manifest import Component, ModelManifest


def components_of(recipe: Recipe, manifest: ModelManifest) -> tuple[Component, ...]:
    """Those that the recipe names, else all that the model has. Raises RecipeError for one that it has not."""
    held = manifest.components
    if recipe.components is None:
        return held
    missing = [component for component in recipe.components if component not in held]
    if missing:
        raise RecipeError(
            f"recipe {recipe.name}: components: {manifest.name} has no {', '.join(missing)}; it has {', '.join(held)}"
        )
    return recipe.components
