"""Hashes of weights, remembered by file size and modification time: re-reading 10 GB at every start is too slow."""

import json
import tempfile
from pathlib import Path

from export.sources import source_hash, weights_files, weights_folder
from families.catalog import ModelSource
from families.manifest import Component


class SourceHashes:
    """A JSON file of {weights folder: [stamp, sha256]}. A lost or broken file costs time, never correctness."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, source: ModelSource, component: Component) -> str:
        """The sha256 of the component's weights and configuration."""
        folder, stamp = str(weights_folder(source, component).resolve()), _stamp(source, component)
        known = self._read()
        if folder in known and known[folder][0] == stamp:
            return known[folder][1]
        digest = source_hash(source, component)
        self._write({**self._read(), folder: (stamp, digest)})
        return digest

    def _read(self) -> dict[str, tuple[str, str]]:
        try:
            loaded = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(folder): (str(stamp), str(digest)) for folder, (stamp, digest) in loaded.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def _write(self, known: dict[str, tuple[str, str]]) -> None:
        """Replace the file by one rename; of two writers at once the later wins, and the other hashes again."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=self._path.parent, prefix=f".{self._path.name}.", delete=False
        ) as file:
            json.dump(known, file, indent=1)
        Path(file.name).replace(self._path)


def _stamp(source: ModelSource, component: Component) -> str:
    """Names, sizes and modification times of the files, as one string."""
    root = weights_folder(source, component)
    entries = ((path.relative_to(root).as_posix(), path.stat()) for path in weights_files(source, component))
    return ";".join(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in entries)
