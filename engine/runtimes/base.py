"""The one interface to whatever executes a component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from families.tensors import Array

if TYPE_CHECKING:  # torch must not load in a process that serves with another runtime
    import torch


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
