"""Recipes on disk: what ships can be read, and every mistake names file, key and what is allowed."""

from pathlib import Path

import pytest

from export.errors import RecipeError
from export.recipe import Precision, Recipe, Target
from export.recipe_files import find_recipe, load_recipe, recipe_files
from families.manifest import Component

SHIPPED = Path(__file__).parents[2] / "configs" / "export"


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_can_be_read(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert recipe.name.startswith(recipe.model)


def test_shipped_recipes_cover_every_precision_and_target() -> None:
    recipes = [load_recipe(path) for path in SHIPPED.glob("*.yaml")]
    assert {recipe.precision for recipe in recipes} == set(Precision)
    assert {recipe.target for recipe in recipes} == set(Target)


def test_the_plain_recipe_is_the_default_one() -> None:
    recipe = load_recipe(SHIPPED / "wardrobe-fp32.yaml")
    assert recipe == Recipe(name="wardrobe-fp32", model="wardrobe")


def test_a_recipe_is_found_by_name_or_file(tmp_path: Path) -> None:
    path = _write(tmp_path, "model: tiny")
    assert find_recipe("mine", [tmp_path]) == find_recipe(str(path))
    with pytest.raises(RecipeError, match="no recipe yours; known are mine"):
        find_recipe("yours", [tmp_path])
    assert list(recipe_files([tmp_path])) == ["mine"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: m\nprecison: fp16", r"mine\.yaml: unknown key precison; allowed here: model, components, target"),
        ("model: m\nengine: {levl: 1}", r"unknown key engine\.levl; allowed here: builder_level, workspace_mib"),
        ("model: m\nprofiles: [{bach: 1}]", r"unknown key profiles\[0\]\.bach; allowed here: batch, width"),
        ("model: m\nprecision: fp12", r"precision: input should be 'fp32', 'fp16' or 'bf16', not 'fp12'"),
        ("model: m\nengine: {builder_level: 9}", r"engine\.builder_level: .* less than or equal to 5, not 9"),
        ("model: m\nprofiles: [{batch: {min: 3, opt: 1, max: 2}}]", r"profiles\[0\]\.batch: min <= opt <= max"),
        ("model: m\nprofiles: []", r"profiles: .* at least 1 item"),
        ("model: m\ncomponents: [unet]", r"components\[0\]: .*'denoiser'"),
        ("model: m\ncomponents: [denoiser, denoiser]", r"components: name at least one, and each one once"),
        (
            "model: m\ncomponents: [denoiser]\nquantisation: {method: fp8, components: [vae_decoder]}",
            r"quantisation\.components: vae_decoder is not built; components are denoiser",
        ),
        ("precision: fp16", "model is missing"),
        ("model: m\nname: other", r"name: 'other' is not the file's name 'mine'"),
        ("- a", "must hold keys and values"),
        ("a: [", "is not YAML"),
    ],
)
def test_mistakes_name_the_key_and_what_is_allowed(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        load_recipe(_write(tmp_path, text))
    assert "mine.yaml" in str(error.value)
    assert "0 items" not in str(error.value)


def test_exceptions_by_component() -> None:
    recipe = Recipe.model_validate(
        {"name": "r", "model": "m", "precision": "fp16", "component_precision": {"denoiser": "fp32"}}
        | {"quantisation": {"method": "fp8"}}
    )
    assert recipe.precision_of(Component.VAE_DECODER) is Precision.FP16
    assert recipe.precision_of(Component.DENOISER) is Precision.FP32
    assert recipe.quantisation_of(Component.VAE_DECODER) is None
    assert recipe.quantisation_of(Component.DENOISER) is not None
