"""A model with adapters merged into its weights: compiled graphs have no room beside them."""

from dataclasses import replace

from export.errors import RecipeError
from export.recipe import Recipe
from families.catalog import ModelSource
from families.lora.files import find_loras
from families.lora.use import MergedLora
from families.manifest import Component


def merged_source(source: ModelSource, recipe: Recipe) -> ModelSource:
    """The model as the recipe wants it, under the recipe's `publish_as`. Only headers are read.

    Raises RecipeError for an adapter that the model has not or cannot use.
    """
    if not recipe.loras:
        return source
    files = {file.name: file for file in find_loras(source)}
    merged = []
    for wanted in recipe.loras:
        file = files.get(wanted.name)
        if file is None:
            known = ", ".join(name for name, file in files.items() if file.problem is None) or "none"
            raise RecipeError(
                f"recipe {recipe.name}: loras: no LoRA {wanted.name!r}; {source.manifest.name} has {known}"
            )
        if file.problem is not None:
            raise RecipeError(f"recipe {recipe.name}: loras: {file.problem}")
        changed = frozenset(component for component in Component if file.adapts(component))
        merged.append(MergedLora(file.path, wanted.scale, changed))
    name = recipe.publish_as or source.manifest.name
    return replace(source, manifest=replace(source.manifest, name=name), merged=tuple(merged))
