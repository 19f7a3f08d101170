"""Triton's log file: one per start, the last few kept."""

from __future__ import annotations

import os
from pathlib import Path

KEPT = 3
TAIL_BYTES = 65_536


def open_rotated(path: Path) -> int:
    """Move earlier logs to `.1`, `.2`, `.3` and return a descriptor to append to a new one.

    Appending, so that whoever truncates the file in place (logrotate's copytruncate) leaves no hole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in range(KEPT, 0, -1):
        older = path if number == 1 else _numbered(path, number - 1)
        if older.is_file():
            older.replace(_numbered(path, number))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def tail(path: Path, lines: int = 20) -> str:
    """The last lines, without the tables that Triton draws and without empty lines."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    useful = [line for line in text.splitlines() if line.strip() and not line.startswith(("+--", "| ")) and line != ";"]
    return "\n".join(useful[-lines:])


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
