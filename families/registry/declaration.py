"""Which models have an alias, where their files may lie and under which licence: `configs/registry.yaml`."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from families.registry.errors import RegistryError, UnknownAlias
from families.vision.manifest import VisionRule, VisionTask

SHIPPED_FILE = Path(__file__).parents[2] / "configs" / "registry.yaml"
VARIABLE_PREFIX = "TRIPTYCH_MODEL_"


def _inside(pattern: str) -> str:
    """A pattern that stays below its root and costs one directory listing a level."""
    path = PurePosixPath(pattern)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in pattern:
        raise ValueError("must be a relative path below a root, with '/' between its parts")
    if "**" in path.parts:
        raise ValueError("'**' would walk whole mounts; write one '*' for each level")
    return pattern


Pattern = Annotated[str, AfterValidator(_inside)]


class ModelEntry(BaseModel):
    """One alias. `patterns` are globs below each root, tried in order, letters of either case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alias: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    family: str = Field(description="What the content must turn out to be.")
    licence: str
    commercial_use: bool
    patterns: tuple[Pattern, ...] = ()
    embedded: str | None = Field(default=None, description="Name among the models that ship with Triptych.")
    repository: str | None = Field(
        default=None, pattern=r"^[\w.-]+/[\w.-]+$", description="Hugging Face repository that `download` takes."
    )
    files: tuple[str, ...] = Field(default=(), description="Globs of the files that `download` takes; default: all.")
    vision: VisionRule | None = Field(default=None, description="How its ONNX graph is used; `family` is the task.")

    @model_validator(mode="after")
    def _of_its_task(self) -> Self:
        if self.vision is not None and self.family != self.vision.task:
            raise ValueError(f"vision.task is {self.vision.task}, so family must be too, not {self.family!r}")
        return self

    @property
    def sees(self) -> bool:
        """Whether it is a vision model."""
        return self.family in set(VisionTask)

    @property
    def variable(self) -> str:
        """The environment variable that names this model's path: capitals, anything else one underscore."""
        return VARIABLE_PREFIX + re.sub(r"[^A-Z0-9]+", "_", self.alias.upper())


class Declarations(BaseModel):
    """Every declared model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[ModelEntry, ...]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for what, names in (
            ("alias", [entry.alias for entry in self.models]),
            ("environment variable", [entry.variable for entry in self.models]),
        ):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ValueError(f"two models share the {what} {', '.join(twice)}")
        return self

    @property
    def aliases(self) -> tuple[str, ...]:
        """In the file's order."""
        return tuple(entry.alias for entry in self.models)

    def find(self, alias: str) -> ModelEntry:
        """The entry of this alias. Raises UnknownAlias listing the declared ones."""
        for entry in self.models:
            if entry.alias == alias:
                return entry
        known = ", ".join(self.aliases) or "none"
        raise UnknownAlias(f"unknown alias {alias[:100]!r}; known aliases: {known}")

    def stray_variables(self, variables: Iterable[str]) -> tuple[str, ...]:
        """Those of `variables` that look like a model's and belong to no alias: most likely misspelt."""
        known = {entry.variable for entry in self.models}
        return tuple(sorted(name for name in variables if name.startswith(VARIABLE_PREFIX) and name not in known))


def load_declarations(path: Path) -> Declarations:
    """Read one YAML file. Raises RegistryError naming file, key and what is allowed."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RegistryError(f"registry file {path}: {error}") from error
    try:
        return Declarations.model_validate(loaded)
    except ValidationError as error:
        problems = (f"registry file {path}: {_place(item['loc'])}: {item['msg']}" for item in error.errors())
        raise RegistryError("\n".join(problems)) from error


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "top level"
