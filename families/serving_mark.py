"""Who serves a version folder marks it, so that a publisher knows which old versions may go.

The mark is a shared lock on the folder itself: it needs no file, so the repository may be mounted read-only, and the
kernel takes it away when its holder dies, however it dies.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


class ServingMark:
    """Held from its making until `release`, or until the process ends."""

    def __init__(self, version_folder: Path) -> None:
        """Raises FileNotFoundError where there is no such folder."""
        self._descriptor = _lock(version_folder, exclusive=False)

    def release(self) -> None:
        """Nobody is served from the folder through this mark any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_served(version_folder: Path) -> bool:
    """Whether any process of this machine holds a mark on the folder."""
    try:
        descriptor = _lock(version_folder, exclusive=True)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    if descriptor is not None:
        os.close(descriptor)
    return False


def _lock(folder: Path, *, exclusive: bool) -> int | None:
    """A descriptor that holds the lock, None on Windows, which lets nobody remove files that are open anyway."""
    if sys.platform == "win32":
        return None
    import fcntl  # noqa: PLC0415 - not on Windows

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # The publisher looks for a moment only; who serves waits for that moment to pass.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
