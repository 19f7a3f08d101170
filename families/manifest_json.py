"""Manifests as JSON files, so that a published model carries its own description."""

import contextlib
import dataclasses
import json
import types
import typing
from enum import Enum
from typing import Any

from families.errors import ManifestError
from families.manifest import ModelManifest


def dump_manifest(manifest: ModelManifest) -> str:
    """Readable, stable JSON."""
    return json.dumps(dataclasses.asdict(manifest), indent=2) + "\n"


def parse_manifest(text: str) -> ModelManifest:
    """The inverse of `dump_manifest`. Raises ManifestError naming the field that does not fit."""
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError as error:
        raise ManifestError(f"manifest is not valid JSON: {error}") from error
    manifest: ModelManifest = _build(ModelManifest, loaded, "manifest")
    return manifest


def _build(kind: Any, value: Any, path: str) -> Any:
    """Rebuild `kind` (a dataclass, enum, tuple, union or scalar) from plain JSON."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise ManifestError(f"{path} must be an object")
        hints = typing.get_type_hints(kind)
        names = {field.name for field in dataclasses.fields(kind)}
        if names != set(value):
            raise ManifestError(f"{path}: fields {sorted(names ^ set(value))} are missing or unknown")
        return kind(**{name: _build(hints[name], value[name], f"{path}.{name}") for name in names})
    origin = typing.get_origin(kind)
    if origin is tuple:
        item = typing.get_args(kind)[0]
        return tuple(_build(item, entry, f"{path}[{index}]") for index, entry in enumerate(value))
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError as error:
            raise ManifestError(f"{path}: {error}") from error
    if origin in (types.UnionType, typing.Union):
        return _build_optional(typing.get_args(kind), value, path)
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind):
        raise ManifestError(f"{path}: {value!r} is not {kind}")
    return value


def _build_optional(kinds: tuple[Any, ...], value: Any, path: str) -> Any:
    """The first of `kinds` that fits; None is itself."""
    if value is None and types.NoneType in kinds:
        return None
    others = [kind for kind in kinds if kind is not types.NoneType]
    for kind in others[:-1]:
        with contextlib.suppress(ManifestError):
            return _build(kind, value, path)
    return _build(others[-1], value, path)
