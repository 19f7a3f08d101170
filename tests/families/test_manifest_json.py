"""Manifests survive JSON, and JSON that is no manifest is refused with the field's name."""

import dataclasses
import json
import re
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from families.catalog import load_source
from families.errors import ManifestError
from families.manifest import ModelManifest
from families.manifest_json import dump_manifest, parse_manifest

_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    float: _FLOATS,
    int: st.integers(),
    str: st.text(),
    bool: st.booleans(),
    type(None): st.none(),
}


def _values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a manifest's field type."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return st.builds(kind, **{name: _values(hint) for name, hint in get_type_hints(kind).items()})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if get_origin(kind) is tuple:
        return st.lists(_values(get_args(kind)[0]), max_size=3).map(tuple)
    if get_args(kind):
        return st.one_of(*(_values(option) for option in get_args(kind)))
    return _SCALARS[kind]


@given(_values(ModelManifest))
def test_round_trip(manifest: ModelManifest) -> None:
    assert parse_manifest(dump_manifest(manifest)) == manifest


def test_text_is_stable(model_folder: Path) -> None:
    manifest = load_source(model_folder).manifest
    text = dump_manifest(manifest)
    assert dump_manifest(parse_manifest(text)) == text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("noise", "prediction"), "guess", "manifest.noise.prediction: 'guess' is not a valid Prediction"),
        (("latent", "channels"), "four", "manifest.latent.channels: 'four' is not"),
        (("size",), 3, "manifest.size must be an object"),
        (("extra",), 1, "fields ['extra'] are missing or unknown"),
        (("denoiser", "inputs", 0, "dims"), [1.5], "manifest.denoiser.inputs[0].dims[0]: 1.5 is not"),
    ],
)
def test_what_does_not_fit_is_named(path: tuple[Any, ...], value: object, message: str, model_folder: Path) -> None:
    loaded = json.loads(dump_manifest(load_source(model_folder).manifest))
    place = loaded
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ManifestError, match=re.escape(message)):
        parse_manifest(json.dumps(loaded))


def test_other_text_is_refused() -> None:
    with pytest.raises(ManifestError, match="not valid JSON"):
        parse_manifest("manifest")


def test_manifests_are_immutable(model_folder: Path) -> None:
    manifest = load_source(model_folder).manifest
    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest.name = "other"  # type: ignore[misc]
