"""The one interface to whatever executes a component."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from families.lora.use import LoraUse
from families.tensors import Array

if TYPE_CHECKING:  # torch must not load in a process that serves with another runtime
    import torch

    from engine.runtimes.adapters import RowAdapters


class Runtime(Protocol):
    """Executes one component: positional inputs as its `ComponentSignature` lists them, outputs alike, batch first.

    Calls block until the numbers are there, and one object serves one thread at a time. A call raises whatever its
    library raises.
    """

    @property
    def device(self) -> str:
        """Where `run` wants its tensors, as torch spells it (cpu, cuda:0, mps)."""
        ...

    @property
    def host_threads(self) -> int:
        """Threads that torch may use beside this runtime without fighting for its cores."""
        ...

    @property
    def computes_on_host(self) -> bool:
        """Whether the host's cores do the work."""
        ...

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Tensors on `device` in and out."""
        ...

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Arrays in host memory in and out."""
        ...


@runtime_checkable
class SharesCores(Protocol):
    """A runtime that can also compute on one core while the others are somebody else's. These calls may overlap."""

    def run_beside(self, inputs: Sequence[Array], *, as_alone: bool) -> tuple[Array, ...] | None:
        """As `run_arrays`, in the calling thread alone. None: this batch needs every core.

        `as_alone`: the same numbers to the bit as `run_arrays` gives for a batch of two rows or more.
        """
        ...


@runtime_checkable
class Parks(Protocol):
    """A runtime whose weights can wait in host memory. Nothing may be called while they do, or are on their way."""

    def park(self) -> int | None:
        """Move them from the device; the bytes of host memory that they take. None: they stay where they are."""
        ...

    def unpark(self) -> None:
        """Move them back. Raises what the device's library raises where there is no room; then they still wait."""
        ...


@runtime_checkable
class TakesAdapters(Protocol):
    """A runtime whose rows may each have adapters (LoRA) of their own; the weights never change."""

    def prepare_adapters(self, uses: Sequence[LoraUse]) -> None:
        """Load them. Any thread may ask. Raises AdapterError for one that is unknown or does not fit the model."""
        ...

    def acting(self, adapters: RowAdapters) -> AbstractContextManager[None]:
        """While this lasts, the caller's calls have as many rows as `adapters`, and each meets its own."""
        ...
