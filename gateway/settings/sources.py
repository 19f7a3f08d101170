"""Where settings come from: file, environment and command line, and what can be wrong with them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

PREFIX = "TRIPTYCH_"
DELIMITER = "__"

Scalar = str | int | float | bool | None


class SettingsError(ValueError):
    """The configuration cannot be used; the message names file, key and reason, one a line."""


class Fixed(PydanticBaseSettingsSource):
    """A mapping read beforehand."""

    def __init__(self, settings_cls: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Part of the interface; `__call__` gives everything at once."""
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All of it."""
        return self._values


def read_yaml(path: Path) -> dict[str, Any]:
    """The file's sections. Raises SettingsError."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"configuration file {path}: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise SettingsError(f"configuration file {path}: the top level must be a mapping of sections")
    return loaded


def nest(dotted: Mapping[str, Scalar]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    nested: dict[str, Any] = {}
    for key, value in dotted.items():
        *sections, last = key.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return nested


def check_environment(settings: type[BaseSettings]) -> None:
    """The library reads only variables of known sections; a misspelt section would pass in silence."""
    for variable in os.environ:
        section, delimiter, _ = variable.removeprefix(PREFIX).partition(DELIMITER)
        if variable.startswith(PREFIX) and delimiter and section.lower() not in settings.model_fields:
            known = ", ".join(settings.model_fields)
            raise SettingsError(f"environment variable {variable}: unknown section {section.lower()!r}; known: {known}")


def explain(error: ValidationError) -> str:
    """Key and reason of each problem, one a line."""
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        reason = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"]
        lines.append(f"setting {key}: {reason}")
    return "\n".join(lines)
