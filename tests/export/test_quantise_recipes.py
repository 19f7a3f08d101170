"""Every shipped recipe plans, and each means something of its own."""

from collections import Counter
from pathlib import Path

import pytest

from export.build import Builder
from export.plan import Verdict, plan
from export.recipe import Target
from export.recipe_components import components_of
from export.recipe_files import load_recipe
from families.catalog import ModelSource
from families.manifest import Component

SHIPPED = sorted((Path(__file__).parents[2] / "configs" / "export").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_plan(path: Path, source: ModelSource, tmp_path: Path) -> None:
    recipe = load_recipe(path).model_copy(update={"model": "tiny"})
    steps = plan(Builder(tmp_path), source, recipe)
    components = components_of(recipe, source.manifest)
    graphs = 0 if recipe.target is Target.ONNX else len(components)
    assert len(steps) == len(components) + graphs, "an engine's graph is a step of its own"
    assert {step.verdict for step in steps} == {Verdict.MISS}
    quantised = {step.component for step in steps if step.key.graph.quantisation is not None}
    assert quantised == set(recipe.quantisation.components if recipe.quantisation else ())
    assert len({step.key.digest for step in steps}) == len(steps)


def test_recipes_share_no_denoiser(source: ModelSource, tmp_path: Path) -> None:
    """Each is a precision or a target of its own, down to what is calibrated and left out."""
    builder = Builder(tmp_path)
    recipes = [recipe for recipe in map(load_recipe, SHIPPED) if recipe.model == "wardrobe"]
    assert len(recipes) > 1
    keys = Counter(builder.key(source, Component.DENOISER, recipe).digest for recipe in recipes)
    assert set(keys.values()) == {1}
