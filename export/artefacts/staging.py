"""Folders that appear whole or not at all, and the lock that keeps two processes from making the same one."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


def lock_file(folder: Path) -> Path:
    """The file beside `folder` whose lock its maker holds."""
    return folder.parent / f".{folder.name}.lock"


def partial_folder(folder: Path) -> Path:
    """Where `folder` is being filled before it is there."""
    return folder.parent / f".{folder.name}.partial"


@contextmanager
def locked(folder: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of `folder` (a file beside it) against other threads and processes; freed if the holder dies.

    `waiting` is called once where another has it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_file(folder), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Fill the yielded empty sibling folder; it takes `folder`'s place on success and is removed on any exception.

    Call it under `locked(folder)`: what an interrupted process left behind is then nobody's and is removed.
    """
    partial = partial_folder(folder)
    former = folder.parent / f".{folder.name}.former"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if not folder.exists() and former.exists():
            former.rename(folder)
        shutil.rmtree(former, ignore_errors=True)
        # POSIX has no portable exchange of two folders; between these two renames the name is absent, never half full.
        if folder.exists():
            folder.rename(former)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(former, ignore_errors=True)


def link_or_copy(origin: Path, destination: Path) -> None:
    """A hard link where the file system allows one, else a copy: published files never point out of their folder."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(origin.resolve(), destination)
    except OSError:
        shutil.copy2(origin, destination)
