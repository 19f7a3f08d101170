"""Hashes of components' sources; files are read once and remembered: re-reading 10 GB at every start is too slow."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

from export.errors import ExportError
from export.sources import source_hash
from families.catalog import ModelSource
from families.lora.files import usable_loras
from families.manifest import Component
from families.registry.hashes import HashCache
from families.registry.inventory import take_inventory


class SourceHashes:
    """Remembers file hashes in a JSON file. A lost or broken one costs time, never correctness."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, source: ModelSource, component: Component) -> str:
        """The sha256 of the component's weights and configuration. Raises ExportError where a file cannot be read."""
        try:
            return source_hash(source, component, self._hash_file())
        except OSError as error:
            raise ExportError(f"{source.manifest.name}.{component}: its source cannot be read: {error}") from error

    def of_served(self, source: ModelSource, component: Component) -> str:
        """As `of`, and over the adapters that torch serves beside it."""
        hashed = self._hash_file()
        try:
            loras = [f"{lora.name}\0{hashed(lora.path)}" for lora in usable_loras(source, component)]
        except OSError as error:
            raise ExportError(f"{source.manifest.name}.{component}: a LoRA cannot be read: {error}") from error
        own = self.of(source, component)
        return hashlib.sha256("\n".join([own, *loras]).encode()).hexdigest() if loras else own

    def _hash_file(self) -> Callable[[Path], str]:
        cache = HashCache(self._path)  # anew, as other processes add to the file

        def hash_file(path: Path) -> str:
            file = take_inventory(path.resolve(strict=True)).files[0]
            return cache.known(file) or cache.compute(file, threading.Event())

        return hash_file
