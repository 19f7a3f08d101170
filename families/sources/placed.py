"""Parts of a model that lie outside of its folder, as its `triptych.json` says: several models may share them.

`"parts": {"vae": "../other/vae", "unet": {"folder": "../base/unet", "overlay": "attention/model.safetensors"}}`.
An overlay is a weights file whose tensors replace some of the part's. Paths are relative to the model's folder and
stay inside of the folder that holds it.
"""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from families.errors import ManifestError

_FILE = "triptych.json"
_KEY = "parts"
_FOLDER, _OVERLAY = "folder", "overlay"


@dataclass(frozen=True, slots=True)
class PlacedPart:
    """`folder` stands for `<model>/<name>`; `overlay` is laid over its weights."""

    name: str
    folder: Path
    overlay: Path | None = None


def placed_parts(model: Path) -> tuple[PlacedPart, ...]:
    """What the model's own file says of places; nothing where it says nothing. Raises ManifestError naming the key."""
    file = model / _FILE
    if not file.is_file():
        return ()
    try:
        loaded = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{file} is not valid JSON: {error}") from error
    parts = loaded.get(_KEY, {}) if isinstance(loaded, dict) else {}
    if not isinstance(parts, dict):
        raise ManifestError(f"{file}: {_KEY} must be an object of part names and their places")
    return tuple(_placed(model, file, name, value) for name, value in parts.items())


def _placed(model: Path, file: Path, name: str, value: Any) -> PlacedPart:
    key = f"{_KEY}.{name}"
    if not name or "/" in name or "\\" in name or name.startswith("."):
        raise ManifestError(f"{file}: {key}: a part is called as its folder, such as vae or unet")
    if isinstance(value, str):
        return PlacedPart(name, _folder(model, file, key, value))
    if not isinstance(value, dict) or not value or not set(value) <= {_FOLDER, _OVERLAY}:
        raise ManifestError(f"{file}: {key} must be a path, or an object of {_FOLDER} and {_OVERLAY}")
    folder = model / name
    if _FOLDER in value:
        folder = _folder(model, file, f"{key}.{_FOLDER}", value[_FOLDER])
    if _OVERLAY not in value:
        return PlacedPart(name, folder)
    overlay = _inside(model, file, f"{key}.{_OVERLAY}", value[_OVERLAY])
    if not overlay.is_file():
        raise ManifestError(f"{file}: {key}.{_OVERLAY}: there is no file {overlay}")
    return PlacedPart(name, folder, overlay)


def _folder(model: Path, file: Path, key: str, value: Any) -> Path:
    folder = _inside(model, file, key, value)
    if not folder.is_dir():
        raise ManifestError(f"{file}: {key}: there is no folder {folder}")
    return folder


def _inside(model: Path, file: Path, key: str, value: Any) -> Path:
    """The path, which must lead to somewhere beside the model or in it, whatever links there are on the way."""
    if not isinstance(value, str) or not value or "\\" in value or PurePosixPath(value).is_absolute():
        raise ManifestError(f"{file}: {key} must be a path relative to {model}, with '/' between its parts")
    boundary = model.resolve().parent
    place = (model.resolve() / value).resolve()
    if not place.is_relative_to(boundary) or place == boundary:
        raise ManifestError(f"{file}: {key}: {value!r} leads out of {boundary}, where the models lie")
    return place
