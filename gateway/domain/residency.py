"""Which components of models are in memory: the words for it, and the port to whatever loads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from families.manifest import Component, triton_model_name
from gateway.domain.backend import Release


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """What is loaded and unloaded as one: a component of a model."""

    model: str
    component: Component

    @property
    def name(self) -> str:
        """`<model>.<component>`."""
        return triton_model_name(self.model, self.component)


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes that a loaded unit takes with its calls. Where that was never `measured`, they are a guess of its weights'
    alone.
    """

    bytes: int
    measured: bool


class UnitState(StrEnum):
    """Where a unit is on its way."""

    UNLOADED = "unloaded"
    LOADING = "loading"
    LOADED = "loaded"
    UNLOADING = "unloading"
    """Its memory is counted until it is given back."""


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """A unit now. `bytes` is what it takes or would take; `leases` are requests that use it, `waiting` that will."""

    unit: Unit
    state: UnitState
    bytes: int
    measured: bool
    pinned: bool
    leases: int
    waiting: int


@dataclass(frozen=True, slots=True)
class ResidencyCounts:
    """Since the start. Seconds are of all loads, and of all unloads, together."""

    loads: int = 0
    load_seconds: float = 0.0
    load_failures: int = 0
    unloads: int = 0
    unload_seconds: float = 0.0
    parks: int = 0
    """Unloads that left the weights in host memory."""
    refused: int = 0


@dataclass(frozen=True, slots=True)
class ResidencySnapshot:
    """Everything at one moment. `budget` None: as much as there is. `used` is reserved or taken."""

    budget: int | None
    used: int
    units: tuple[UnitStatus, ...]
    counts: ResidencyCounts
    host_budget: int = 0
    host_used: int = 0
    """Of host memory, by what left the device and is kept there."""


class ModelState(StrEnum):
    """Of a model by its components."""

    LOADED = "loaded"
    PARTLY_LOADED = "partly_loaded"
    LOADING = "loading"
    UNLOADING = "unloading"
    UNLOADED = "unloaded"


def model_state(units: Sequence[UnitStatus]) -> ModelState:
    """What is on its way counts before what stands."""
    states = {status.state for status in units}
    if UnitState.LOADING in states:
        return ModelState.LOADING
    if UnitState.UNLOADING in states:
        return ModelState.UNLOADING
    if len(states) > 1:
        return ModelState.PARTLY_LOADED
    return ModelState.UNLOADED if UnitState.UNLOADED in states else ModelState.LOADED


@runtime_checkable
class TellsResidency(Protocol):
    """A backend whose models come and go."""

    def residency(self) -> ResidencySnapshot:
        """What is in memory now."""
        ...


class ComponentHost(Protocol):
    """Loads and unloads the components of one device. Methods may raise BackendError."""

    async def ready(self) -> bool:
        """Whether it can be told to load."""
        ...

    async def release(self, model: str) -> Release:
        """What `load` would load of this model."""
        ...

    def files_bytes(self, unit: Unit) -> int:
        """Size of the unit's published weights; 0 while it is not published."""
        ...

    def expected_bytes(self, unit: Unit) -> int:
        """What the unit probably takes when it is loaded, rather too much than too little."""
        ...

    async def load(self, unit: Unit) -> None:
        """Bring it into memory."""
        ...

    async def unload(self, unit: Unit) -> None:
        """Returns when its memory was given back, wherever its weights are."""
        ...

    async def park(self, unit: Unit) -> int | None:
        """Move a loaded unit's weights from the device to host memory, from where `load` brings them back: the bytes
        that they take there. None where they cannot wait there; then nothing has changed.
        """
        ...

    async def measure(self, unit: Unit, *, alone: bool) -> int | None:
        """The most bytes that a loaded unit has taken since before its load, calls included; None where they cannot be
        told. `alone`: nothing else was loaded, unloaded or used since then.
        """
        ...

    async def present(self) -> frozenset[Unit]:
        """What is really loaded."""
        ...

    async def close(self) -> None:
        """No call may follow."""
        ...
