"""Recipes on disk: one YAML file each, which gives the recipe its name. Mistakes name file, key and what is allowed."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from export.errors import RecipeError
from export.recipe import Recipe

RECIPE_FOLDER = Path("configs") / "export"
"""Where recipes lie, below the working directory and below the project."""
_SUFFIX = ".yaml"


def recipe_folders() -> tuple[Path, ...]:
    """The folders that are searched for a recipe's name, the first one first."""
    return tuple(dict.fromkeys((RECIPE_FOLDER.resolve(), Path(__file__).parents[1] / RECIPE_FOLDER)))


def find_recipe(name: str, folders: Iterable[Path] | None = None) -> Recipe:
    """A recipe by its file, or by its name in the recipes' folders. Raises RecipeError."""
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or path.parent != Path():
        return load_recipe(path)
    known = recipe_files(folders)
    if name not in known:
        raise RecipeError(f"no recipe {name}; known are {', '.join(known) or 'none'}, or name a {_SUFFIX} file")
    return load_recipe(known[name])


def recipe_files(folders: Iterable[Path] | None = None) -> dict[str, Path]:
    """Every recipe's file by name; the first folder that has a name wins."""
    found: dict[str, Path] = {}
    for folder in recipe_folders() if folders is None else folders:
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            found.setdefault(path.stem, path)
    return found


def load_recipe(path: Path) -> Recipe:
    """Read one file; the recipe takes the file's name. Raises RecipeError."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"no recipe file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(loaded, dict):
        raise RecipeError(f"{path} must hold keys and values; allowed keys: {_keys(Recipe)}")
    if loaded.setdefault("name", path.stem) != path.stem:
        raise RecipeError(f"{path}: name: {loaded['name']!r} is not the file's name {path.stem!r}; leave it out")
    try:
        return Recipe.model_validate(loaded)
    except ValidationError as error:
        raise RecipeError(f"{path}: {'; '.join(_sentence(mistake) for mistake in _telling(error))}") from error


def _telling(error: ValidationError) -> Iterator[ErrorDetails]:
    """Mistakes without those that follow from one further inside: a list whose one entry is wrong is not too short."""
    mistakes = error.errors()
    for mistake in mistakes:
        depth = len(mistake["loc"])
        if not any(len(other["loc"]) > depth and other["loc"][:depth] == mistake["loc"] for other in mistakes):
            yield mistake


def _sentence(mistake: ErrorDetails) -> str:
    """Key, what is wrong, what is allowed."""
    location = mistake["loc"]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    match mistake["type"]:
        case "extra_forbidden":
            return f"unknown key {key}; allowed here: {_keys(_section(location[:-1]))}"
        case "missing":
            return f"{key} is missing"
        case "value_error":
            return f"{key}: {mistake['ctx']['error']}".removeprefix(": ")
        case _:
            return f"{key}: {mistake['msg'][0].lower()}{mistake['msg'][1:]}, not {mistake['input']!r}"


def _section(location: tuple[int | str, ...]) -> type[BaseModel]:
    """The part of the schema that a location leads to."""
    model: type[BaseModel] = Recipe
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = next(_models(model.model_fields[part].annotation), model)
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _keys(model: type[BaseModel]) -> str:
    return ", ".join(name for name in model.model_fields if name != "name")
