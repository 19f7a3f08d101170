"""Look at and wait for processes from the outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def regions(processes: list[psutil.Process]) -> list[Path]:
    """The shared memory files of these processes' stubs, which have them on their command lines."""
    names = {word for p in processes for word in p.cmdline() if word.startswith("triptych-")}
    return [path for name in names for path in Path("/dev/shm").glob(f"{name}*")]
