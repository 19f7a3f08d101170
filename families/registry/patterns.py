"""Globs below a folder: one directory listing a level, letters of either case, always in the same order."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath


def matches(folder: Path, pattern: str) -> Iterator[Path]:
    """Files and folders below `folder` that `pattern` names, by name. Folders that cannot be read match nothing."""
    return _descend(folder, PurePosixPath(pattern).parts)


def _descend(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    wanted, *rest = parts
    for name in _names(folder):
        # Hidden names only when asked for: download tools keep half-written files there.
        if name.startswith(".") and not wanted.startswith("."):
            continue
        if fnmatchcase(name.lower(), wanted.lower()):
            if rest:
                yield from _descend(folder / name, tuple(rest))
            else:
                yield folder / name


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []
