"""A TensorRT library's messages: to `logging`, and its errors kept for the exception that follows them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_MOST_ERRORS = 6


class ErrorTrap:
    """Collects what a library calls an error while somebody is interested."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[list[str]] = []

    def add(self, message: str) -> None:
        """Called from any thread of the library."""
        with self._lock:
            for errors in self._open:
                errors.append(message)

    @contextmanager
    def collecting(self) -> Iterator[list[str]]:
        """The errors that arrive inside, in their order."""
        errors: list[str] = []
        with self._lock:
            self._open.append(errors)
        try:
            yield errors
        finally:
            with self._lock:
                self._open = [other for other in self._open if other is not errors]


def joined(errors: list[str]) -> str:
    """Errors as one line, each once; what a library says first is the cause, the rest follows from it."""
    distinct = list(dict.fromkeys(errors))
    more = f"; and {len(distinct) - _MOST_ERRORS} more" if len(distinct) > _MOST_ERRORS else ""
    return "; ".join(distinct[:_MOST_ERRORS]) + more if distinct else "the library gave no reason"


@cache
def library_log(module: Any) -> tuple[Any, ErrorTrap]:
    """The library's logger and its trap: one for the whole process, as the library keeps hold of the first it meets."""
    severity = module.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.ERROR,
        severity.ERROR: logging.ERROR,
        severity.WARNING: logging.WARNING,
        severity.INFO: logging.DEBUG,  # thousands of lines a build
        severity.VERBOSE: logging.DEBUG,
    }
    trap = ErrorTrap()
    log = logging.getLogger(f"{__name__.rpartition('.')[0]}.{module.__name__}")

    class RoutedLogger(module.ILogger):  # type: ignore[misc]  # the base is whichever library is installed
        def __init__(self) -> None:
            module.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            level = levels.get(severity, logging.DEBUG)
            if level >= logging.ERROR:
                trap.add(message)
                # Whoever asked gets the text in an exception; the log repeats it only for those who look closely.
                level = logging.DEBUG
            log.log(level, "%s", message)

    return RoutedLogger(), trap
