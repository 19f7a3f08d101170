"""Finds the JSON files that describe a pipeline, in the order of who knows best."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from families.errors import ManifestError

_PACKAGED = Path(__file__).parent / "architectures"


class Config(dict[str, Any]):
    """A file's JSON object, which says where a key is missing."""

    def __init__(self, values: dict[str, Any], path: Path) -> None:
        super().__init__(values)
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise ManifestError(f"{self._path}: {key} is missing")


@dataclass(frozen=True, slots=True)
class ConfigFolders:
    """Folders laid out like a diffusers pipeline's; the first that has a file gives it.

    `placed`: parts with a folder somewhere else.
    """

    roots: tuple[Path, ...]
    placed: tuple[tuple[str, Path], ...] = ()

    def find(self, name: str) -> Path:
        """The path of `name`, such as `unet/config.json`; where no root has it, its place in the first one."""
        part, _, file = name.partition("/")
        places = [folder / file for placed, folder in self.placed if placed == part and file]
        candidates = places or [root / name for root in self.roots]
        return next((path for path in candidates if path.is_file()), candidates[0])

    def has(self, name: str) -> bool:
        """Whether any root has the file."""
        return self.find(name).is_file()

    def read(self, name: str) -> Config:
        """A JSON object. Raises ManifestError that names the file, and where it was looked for; so does the object
        for a key that it does not have."""
        path = self.find(name)
        try:
            loaded = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            others = [str(root / name) for root in self.roots[1:] if root.parent != _PACKAGED]
            beside = f" (or {' or '.join(others)})" if others else ""
            raise ManifestError(f"{path}{beside} is missing: the model is not complete without it") from error
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"{path} is not valid JSON: {error}") from error
        if not isinstance(loaded, dict):
            raise ManifestError(f"{path} must hold a JSON object")
        return Config(loaded, path)


def packaged_configs(family: str) -> Path:
    """The folder of a family's published architecture; empty where Triptych ships none."""
    return _PACKAGED / family
