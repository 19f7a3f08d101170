"""One device's memory: what is in it, what it takes, and what would have to leave for something else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.domain.errors import InsufficientMemory
from gateway.domain.residency import Footprint, Unit, UnitState


@dataclass(slots=True)
class Entry:
    """One unit. `reserved` bytes count against the budget from the decision to load until they were given back."""

    footprint: Footprint
    pinned: bool
    state: UnitState = UnitState.UNLOADED
    reserved: int = 0
    leases: int = 0
    granted_at: int = 0
    """The number of its last grant, of all grants."""
    idle_since: float = 0.0
    stale: bool = False
    """Loaded, and to leave as soon as nobody uses it."""

    @property
    def usable(self) -> bool:
        """Whether a request may begin with it."""
        return self.state is UnitState.LOADED and not self.stale

    @property
    def idle(self) -> bool:
        """Loaded and not in use."""
        return self.state is UnitState.LOADED and self.leases == 0

    @property
    def leaving(self) -> bool:
        """Its memory will be free without anybody's doing."""
        return self.state is UnitState.UNLOADING or (self.state is UnitState.LOADED and self.stale)

    def free(self) -> None:
        """It takes no memory any more."""
        self.state, self.reserved, self.stale = UnitState.UNLOADED, 0, False


@dataclass(frozen=True, slots=True)
class Evictions:
    """What must leave: `idle` units can at once, those `in_use` when their requests have ended."""

    idle: tuple[Unit, ...] = ()
    in_use: frozenset[Unit] = frozenset()


class Memory:
    """Entries and arithmetic; decides nothing."""

    def __init__(self, budget: int | None, footprints: Mapping[Unit, Footprint], pinned: Iterable[Unit]) -> None:
        """`budget` in bytes, None for no limit. Raises InsufficientMemory where the pinned units are over it."""
        kept = frozenset(pinned)
        self.budget = budget
        self.units = {unit: Entry(footprint, unit in kept) for unit, footprint in footprints.items()}
        for unit in kept:
            self.check(unit)

    @property
    def used(self) -> int:
        """Bytes reserved or taken."""
        return sum(entry.reserved for entry in self.units.values())

    def check(self, unit: Unit) -> None:
        """Raises InsufficientMemory where the unit can never fit beside what is pinned."""
        if self.budget is None:
            return
        needed, kept = self.units[unit].footprint.bytes, self._kept_beside(unit)
        if needed + kept > self.budget:
            beside = f", of which pinned models keep {kept}" if kept else ""
            raise InsufficientMemory(
                f"{unit.name} needs {needed} bytes of memory and the budget is {self.budget} bytes{beside}"
            )

    def need(self, unit: Unit) -> int:
        """Bytes to have free for it: all there is for what was never measured, which comes in alone."""
        footprint = self.units[unit].footprint
        if self.budget is None or footprint.measured:
            return footprint.bytes
        return self.room(unit)

    def room(self, unit: Unit) -> int:
        """The most bytes that it could have, beside what is pinned. There must be a budget."""
        assert self.budget is not None
        return self.budget - self._kept_beside(unit)

    def fits(self, unit: Unit) -> bool:
        """Whether there is room for it now."""
        return self.budget is None or self.used + self.need(unit) <= self.budget

    def in_the_way(self, unit: Unit) -> Evictions:
        """What must leave before this unloaded unit fits, beyond what is leaving already."""
        return Evictions() if self.budget is None else self._evictions(self.need(unit))

    def overgrown(self) -> tuple[Unit, ...]:
        """Idle units to let go where what is loaded turned out to take more than the budget."""
        return () if self.budget is None else self._evictions(0).idle

    def _evictions(self, need: int) -> Evictions:
        assert self.budget is not None
        leaving = sum(entry.reserved for entry in self.units.values() if entry.leaving)
        missing = self.used - leaving + need - self.budget
        idle: list[Unit] = []
        in_use: set[Unit] = set()
        for unit, entry in self._by_use():
            if missing <= 0:
                break
            missing -= entry.reserved
            if entry.leases:
                in_use.add(unit)
            else:
                idle.append(unit)
        return Evictions(tuple(idle), frozenset(in_use))

    def _by_use(self) -> list[tuple[Unit, Entry]]:
        """What may leave, in this order: idle, least recently used first; then in use, by the last grant.

        Who is to leave is granted to nobody, so it keeps its place among those in use until it is idle, and leaves.
        """
        loaded = [(unit, entry) for unit, entry in self.units.items() if entry.usable and not entry.pinned]
        return sorted(loaded, key=lambda item: (item[1].leases > 0, item[1].granted_at))

    def _kept_beside(self, unit: Unit) -> int:
        """What pinned units take, or at least will."""
        pinned = (entry for other, entry in self.units.items() if entry.pinned and other != unit)
        return sum(max(entry.reserved, entry.footprint.bytes) for entry in pinned)
