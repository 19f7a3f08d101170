"""sha256 of model files, remembered by path, size and modification time in a file of the runtime directory.

Models lie on read-only mounts and may be tens of gigabytes: nothing is written beside them, and each byte is read once.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from families.atomic import replace_text
from families.registry.inventory import Inventory, ModelFile

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 22

BytesRead = Callable[[int], None]
"""Called with the number of bytes that were just read."""


class HashingStopped(Exception):  # noqa: N818 - nothing went wrong
    """Hashing was told to stop."""


class HashCache:
    """A JSON file of {path: [size, mtime_ns, sha256]}. A lost or broken file costs time, never correctness."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known = self._read()

    def known(self, file: ModelFile) -> str | None:
        """The file's sha256 if it was hashed as it is now."""
        entry = self._known.get(str(file.path.absolute()))
        return entry[2] if entry is not None and entry[:2] == (file.size, file.mtime_ns) else None

    def compute(self, file: ModelFile, stop: threading.Event, on_bytes: BytesRead | None = None) -> str:
        """Read the file and remember its sha256. Raises OSError, and HashingStopped once `stop` is set.

        A file that changes while it is read raises OSError: its hash would be of no content that ever was.
        """
        digest = hashlib.sha256()
        with file.path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                if stop.is_set():
                    raise HashingStopped
                digest.update(chunk)
                if on_bytes is not None:
                    on_bytes(len(chunk))
        if not file.unchanged:
            raise OSError(f"{file.path} changed while it was read")
        self._remember(file, digest.hexdigest())
        return digest.hexdigest()

    def _remember(self, file: ModelFile, sha256: str) -> None:
        with self._lock:
            # Another process may have written meanwhile; of two writers in the same moment one hashes again later.
            entry = (file.size, file.mtime_ns, sha256)
            self._known = {**self._known, **self._read(), str(file.path.absolute()): entry}
            try:
                replace_text(self._path, json.dumps(self._known, indent=1))
            except OSError as error:
                logger.warning("hashes are kept in memory only: %s", error)

    def _read(self) -> dict[str, tuple[int, int, str]]:
        try:
            loaded = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(path): (int(size), int(mtime), str(sha)) for path, (size, mtime, sha) in loaded.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


def combine(inventory: Inventory, hashes: list[str]) -> str:
    """One sha256 for a model: a file's own; a folder's is that of its lines `name NUL size NUL sha256`, by name."""
    if not inventory.is_folder:
        return hashes[0]
    lines = (f"{file.name}\0{file.size}\0{sha}\n" for file, sha in zip(inventory.files, hashes, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
