"""Measured kernels, kept from build to build: one file per library version and GPU.

TensorRT alone needs them: TensorRT-RTX chooses kernels when an engine is loaded, and its caches stay empty.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from pathlib import Path
from typing import Any

from filelock import FileLock

from engine.runtimes.tensorrt_library import Library
from export.tensorrt.environment import LocalGpu

_log = logging.getLogger(__name__)


class TimingCache:
    """One file. `attach` before a build, `merge` after it: what others wrote meanwhile stays."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def attach(self, config: Any) -> None:
        """Give the configuration what is known. A file that the library refuses counts as none."""
        with _without_deprecations():
            cache = config.create_timing_cache(self._content())
            if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
                _log.warning("%s cannot be used by this library and GPU; kernels are measured anew", self.path)
                config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)

    def merge(self, config: Any) -> None:
        """Add what the build measured to the file, in one rename."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _without_deprecations(), FileLock(self.path.with_suffix(".lock"), thread_local=False):
            cache = config.get_timing_cache()
            if cache is None:
                return
            others = config.create_timing_cache(self._content())
            if others is not None:
                cache.combine(others, ignore_mismatch=False)
            partial = self.path.with_suffix(f".{os.getpid()}.partial")
            partial.write_bytes(bytes(cache.serialize()))
            partial.replace(self.path)

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""


def timing_cache(folder: Path, library: Library, version: str, gpu: LocalGpu) -> TimingCache:
    """The cache of this library on this GPU inside `folder`."""
    name = f"{library.name}-{version}-{gpu.name}-sm{gpu.compute_capability or 'none'}".lower()
    return TimingCache(folder / f"{re.sub(r'[^a-z0-9.-]+', '-', name)}.timing")


def _without_deprecations() -> warnings.catch_warnings[None]:
    """TensorRT-RTX warns at every call that its caches hold nothing."""
    return warnings.catch_warnings(action="ignore", category=DeprecationWarning)
