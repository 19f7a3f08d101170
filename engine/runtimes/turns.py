"""Components which compute on the host take turns.

Text encoder, denoiser and decoder live in processes of their own, each with a thread for every core. Two of them at
once would interleave on the same cores, and threads of a call which wait for each other would wait for the stranger
too. A call takes some milliseconds, so a turn is never far.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.runtimes.base import Runtime
from families.tensors import Array

if TYPE_CHECKING:
    import torch


class Turns:
    """A lock among all processes which serve the same repository on this machine."""

    def __init__(self, repository: Path) -> None:
        # Of the folder itself: that needs no file of our own, so the repository may be mounted read-only; and the
        # kernel frees it when its holder dies.
        self._folder = os.open(repository, os.O_RDONLY)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn and keep it."""
        import fcntl  # noqa: PLC0415 - not on Windows

        fcntl.flock(self._folder, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._folder, fcntl.LOCK_UN)


class TakingTurns:
    """A runtime whose calls wait for their turn."""

    def __init__(self, runtime: Runtime, turns: Turns) -> None:
        self._runtime = runtime
        self._turns = turns

    @property
    def device(self) -> str:
        """See the protocol."""
        return self._runtime.device

    @property
    def host_threads(self) -> int:
        """See the protocol."""
        return self._runtime.host_threads

    @property
    def computes_on_host(self) -> bool:
        """See the protocol."""
        return self._runtime.computes_on_host

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """See the protocol."""
        with self._turns.turn():
            return self._runtime.run(inputs)

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """See the protocol."""
        with self._turns.turn():
            return self._runtime.run_arrays(inputs)


def taking_turns(runtime: Runtime, version_folder: Path, threads: int) -> Runtime:
    """`runtime`, whose calls take turns where they would want every core; `version_folder` is its published one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if sys.platform == "win32" or not runtime.computes_on_host or threads < cores:
        return runtime
    return TakingTurns(runtime, Turns(version_folder.parent.parent))
