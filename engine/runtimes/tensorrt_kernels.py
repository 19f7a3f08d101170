"""Kernels that TensorRT-RTX compiled while an engine ran, kept for the next start: it would compile them again."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)
_DIGITS = 16


def kernel_file(folder: Path, plan: bytes) -> Path:
    """Where the kernels of one engine lie; the library itself refuses those of another GPU or version."""
    return folder / f"{hashlib.sha256(plan).hexdigest()[:_DIGITS]}.kernels"


class KernelCache:
    """The library's runtime cache, with a file that may be missing, foreign or on a disk that takes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cache: Any = None
        self._saved = b""

    def attach(self, config: Any) -> None:
        """Let a context with this configuration use the kernels; the first one brings the file's."""
        if self._cache is None:
            self._cache = config.create_runtime_cache()
            if self._path.is_file():
                self._saved = self._path.read_bytes()
                if not self._cache.deserialize(self._saved):
                    _log.warning("%s is of another GPU or version; kernels are compiled anew", self._path)
        config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Write what is new, in one rename. A failure costs the next start some seconds, so it is only logged."""
        content = b"" if self._cache is None else bytes(self._cache.serialize())
        if not content or content == self._saved:
            return
        partial = self._path.with_suffix(f".{os.getpid()}.partial")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(self._path)
        except OSError as error:
            _log.warning("kernels cannot be kept in %s: %s", self._path, error)
            return
        self._saved = content
