"""A builder's phases told to a listener; an interrupt ends the build at its next step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from export.targets import StepListener


class BuildSteps:
    """Phases nest; each tells its own share. `failure` is what a listener raised, after which the build ends."""

    def __init__(self, listener: StepListener) -> None:
        self._listener = listener
        self._cancelled = threading.Event()
        self.failure: BaseException | None = None
        self._counts: dict[str, int] = {}

    def cancel(self) -> None:
        """Ask the library to give up at its next step. May be called from any thread."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked for it."""
        return self._cancelled.is_set()

    def start(self, phase: str, steps: int) -> None:
        """A phase begins."""
        self._counts[phase] = steps
        self._listener(phase, 0.0)

    def step(self, phase: str, step: int) -> bool:
        """A step of a phase is done; False stops the build."""
        count = self._counts.get(phase, 0)
        self._listener(phase, min((step + 1) / count, 1.0) if count else None)
        return not self.cancelled

    def finish(self, phase: str) -> None:
        """A phase is done."""
        self._counts.pop(phase, None)


def progress_monitor(module: Any, steps: BuildSteps) -> Any:
    """The library's own kind of listener, on `steps`. An exception inside must never reach the library."""

    class Monitor(module.IProgressMonitor):  # type: ignore[misc]  # the base is whichever library is installed
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, _parent: str | None, num_steps: int) -> None:
            _guarded(steps, lambda: steps.start(phase_name, num_steps))

        def step_complete(self, phase_name: str, step: int) -> bool:
            _guarded(steps, lambda: steps.step(phase_name, step))
            return not steps.cancelled

        def phase_finish(self, phase_name: str) -> None:
            _guarded(steps, lambda: steps.finish(phase_name))

    return Monitor()


def _guarded(steps: BuildSteps, tell: Callable[[], object]) -> None:
    try:
        tell()
    except BaseException as error:  # C++ frames lie above: the build ends, then this is raised
        steps.failure = error
        steps.cancel()
