"""Components which compute on the host take turns.

Text encoder, denoiser and decoder live in processes of their own, each with a thread for every core. Two of them at
once would interleave on the same cores, and threads of a call which wait for each other would wait for the stranger
too. A call takes some milliseconds, so a turn is never far.

The short calls of text encoder and decoder need not even wait where they can do with one core: alone they take every
core and are done sooner, in company they compute in one thread beside the denoiser's, and no core ever idles.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.runtimes.base import Runtime, SharesCores, TakesAdapters
from families.lora.use import LoraUse
from families.tensors import Array

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    import torch

    from engine.runtimes.adapters import RowAdapters


class Turns:
    """A lock among all processes which serve the same repository on this machine."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until every core is free and keep them all."""
        with self._locked(fcntl.LOCK_EX):
            yield

    @contextmanager
    def turn_if_free(self) -> Iterator[bool]:
        """Take every core if all are free; whether they were taken."""
        with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB) as taken:
            yield taken

    @contextmanager
    def one_core(self) -> Iterator[None]:
        """Wait until nobody has all cores, and share them with whoever else takes one."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def _locked(self, operation: int) -> Iterator[bool]:
        # Of the folder itself: that needs no file of our own, so the repository may be mounted read-only; and the
        # kernel frees it when its holder dies. Opened for every turn: threads which share an open file share its lock.
        folder = os.open(self._repository, os.O_RDONLY)
        try:
            fcntl.flock(folder, operation)
        except BlockingIOError:
            os.close(folder)
            yield False
            return
        try:
            yield True
        finally:
            os.close(folder)


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


class SharingTurns(TakingTurns):
    """A runtime that need not wait: in company it makes do with one core."""

    def __init__(self, runtime: Runtime, turns: Turns, beside: SharesCores) -> None:
        super().__init__(runtime, turns)
        self._beside = beside

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """See the protocol."""
        with self._turns.turn_if_free() as taken:
            outputs = self._runtime.run_arrays(inputs) if taken else self._beside.run_beside(inputs, as_alone=True)
        return super().run_arrays(inputs) if outputs is None else outputs

    def run_beside(self, inputs: Sequence[Array], *, as_alone: bool) -> tuple[Array, ...] | None:
        """See `SharesCores`."""
        with self._turns.one_core():
            return self._beside.run_beside(inputs, as_alone=as_alone)


class AdaptingTurns(TakingTurns):
    """A runtime whose rows may have adapters."""

    def __init__(self, runtime: Runtime, turns: Turns, adapting: TakesAdapters) -> None:
        super().__init__(runtime, turns)
        self._adapting = adapting

    def prepare_adapters(self, uses: Sequence[LoraUse]) -> None:
        """See `TakesAdapters`. Reading a file wants no core for long."""
        self._adapting.prepare_adapters(uses)

    def acting(self, adapters: RowAdapters) -> AbstractContextManager[None]:
        """See `TakesAdapters`."""
        return self._adapting.acting(adapters)


def taking_turns(runtime: Runtime, version_folder: Path, threads: int) -> Runtime:
    """`runtime`, whose calls take turns where they would want every core; `version_folder` is its published one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if sys.platform == "win32" or not runtime.computes_on_host or threads < cores:
        return runtime
    turns = Turns(version_folder.parent.parent)
    if isinstance(runtime, SharesCores):
        return SharingTurns(runtime, turns, runtime)
    return AdaptingTurns(runtime, turns, runtime) if isinstance(runtime, TakesAdapters) else TakingTurns(runtime, turns)
