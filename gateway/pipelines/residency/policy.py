"""Who may come into memory and who must leave: a pure state machine that never plans over its budget.

A request asks for a unit and gets a ticket. Tickets of loaded units are granted at once. Among the others the first in
the queue gets room before anybody else: idle units leave, the least recently used first, and where they are not enough,
units in use take no new request and leave when the last one has ended. So every ticket is granted in its turn as long
as every lease ends. Loads are one at a time. What was never measured comes in alone and keeps all room until it was.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.domain.errors import InsufficientMemory
from gateway.domain.residency import Footprint, Unit, UnitState, UnitStatus
from gateway.pipelines.residency.memory import Memory


@dataclass(eq=False, slots=True)
class Ticket:
    """One request's wish for one unit; a lease once it is granted."""

    unit: Unit
    granted: bool = False
    failure: Exception | None = None
    """Why it will never be granted."""


@dataclass(frozen=True, slots=True)
class Moves:
    """What is to be done now; the policy counts on it."""

    load: tuple[Unit, ...] = ()
    unload: tuple[Unit, ...] = ()


class ResidencyPolicy:
    """For one thread. `now` is any clock in seconds that does not go back. Call `advance` after every change."""

    def __init__(self, budget: int | None, footprints: Mapping[Unit, Footprint], pinned: Iterable[Unit] = ()) -> None:
        """Everything is unloaded. Raises InsufficientMemory where the pinned units alone are over the budget."""
        self._memory = Memory(budget, footprints, pinned)
        self._units = self._memory.units
        self._queue: list[Ticket] = []
        self._grants = 0

    @property
    def budget(self) -> int | None:
        """Bytes; None for no limit."""
        return self._memory.budget

    @property
    def used(self) -> int:
        """Bytes reserved or taken."""
        return self._memory.used

    def check(self, unit: Unit) -> None:
        """Raises InsufficientMemory where the unit can never fit."""
        self._memory.check(unit)

    def room(self, unit: Unit) -> int:
        """The most bytes that it could have. There must be a budget."""
        return self._memory.room(unit)

    def is_measured(self, unit: Unit) -> bool:
        """Whether it is known what the unit takes, with the largest calls that anybody asked for."""
        return self._units[unit].footprint.measured

    def is_to_be_measured(self, unit: Unit) -> bool:
        """Whether it is in memory alone, so that it can be measured now."""
        return self._units[unit].usable and not self.is_measured(unit)

    def ask(self, unit: Unit) -> Ticket:
        """Queue up. Raises InsufficientMemory where the unit can never fit."""
        self._memory.check(unit)
        ticket = Ticket(unit)
        self._queue.append(ticket)
        return ticket

    def give_up(self, ticket: Ticket, now: float) -> None:
        """The request waits no longer, or its lease has ended."""
        if ticket.granted:
            ticket.granted = False
            entry = self._units[ticket.unit]
            entry.leases -= 1
            entry.idle_since = now
        elif ticket in self._queue:
            self._queue.remove(ticket)

    def position(self, ticket: Ticket) -> int:
        """How many other units come into memory before this ticket's."""
        if ticket not in self._queue:
            return 0
        ahead = {waiting.unit for waiting in self._queue[: self._queue.index(ticket)]} - {ticket.unit}
        return sum(not self._units[unit].usable for unit in ahead)

    def advance(self) -> Moves:
        """Grant what can be granted, and what is to be done next."""
        memory = self._memory
        self._refuse_the_impossible()
        head = self._head()
        # Who came before the head goes before it: what was loaded for somebody is not taken away from under him.
        self._grant(self._queue if head is None else self._queue[: self._queue.index(head)], frozenset())
        unload = [unit for unit, entry in self._units.items() if entry.idle and entry.stale]
        self._leave(unload)
        unload += self._leave(memory.overgrown())
        load: tuple[Unit, ...] = ()
        if head is not None:
            in_use: frozenset[Unit] = frozenset()
            if self._units[head.unit].state is UnitState.UNLOADED:
                evictions = memory.in_the_way(head.unit)
                in_use = evictions.in_use
                unload += self._leave(evictions.idle)
                load = self._enter(head.unit)
            self._grant(self._queue, in_use)
        return Moves(load, tuple(unload))

    def loaded(self, unit: Unit, now: float) -> None:
        """A planned load has ended well. What was never measured keeps all the room until it is."""
        entry = self._units[unit]
        entry.state, entry.idle_since = UnitState.LOADED, now

    def measured(self, unit: Unit, size: int) -> None:
        """A loaded unit takes so many bytes, with its largest calls."""
        entry = self._units[unit]
        if entry.state is UnitState.LOADED:
            entry.footprint = Footprint(size, measured=True)
            entry.reserved = size

    def outgrown(self, unit: Unit) -> None:
        """Larger calls than those it was measured with are to come: it leaves, and comes in alone."""
        entry = self._units[unit]
        if entry.footprint.measured:
            entry.footprint = Footprint(entry.footprint.bytes, measured=False)
            entry.stale = entry.state in (UnitState.LOADING, UnitState.LOADED)

    def failed(self, unit: Unit, error: Exception) -> None:
        """A planned load did not work: whoever waits for it is told."""
        self._units[unit].free()
        self._refuse(unit, error)

    def unloaded(self, unit: Unit) -> None:
        """Its memory was given back."""
        self._units[unit].free()

    def renew(self, unit: Unit) -> None:
        """What is loaded is of no use any more: it leaves when nobody uses it."""
        entry = self._units[unit]
        entry.stale = entry.state is UnitState.LOADED

    def lost(self, unit: Unit) -> None:
        """It is out of memory without having been told to leave."""
        if self._units[unit].state is UnitState.LOADED:
            self._units[unit].free()

    def expire(self, now: float, seconds: float) -> None:
        """Let go what nobody has used for so long and nobody waits for."""
        wanted = {ticket.unit for ticket in self._queue}
        for unit, entry in self._units.items():
            if entry.idle and not entry.pinned and unit not in wanted and now - entry.idle_since >= seconds:
                entry.stale = True

    def status(self) -> tuple[UnitStatus, ...]:
        """Every unit."""
        return tuple(
            UnitStatus(
                unit=unit,
                state=entry.state,
                bytes=entry.reserved or entry.footprint.bytes,
                measured=entry.footprint.measured,
                pinned=entry.pinned,
                leases=entry.leases,
                waiting=sum(ticket.unit == unit for ticket in self._queue),
            )
            for unit, entry in self._units.items()
        )

    def _head(self) -> Ticket | None:
        """Whose unit comes in next: the first in the queue that is neither usable nor on its way in."""
        for ticket in self._queue:
            entry = self._units[ticket.unit]
            if not entry.usable and entry.state is not UnitState.LOADING:
                return ticket
        return None

    def _refuse_the_impossible(self) -> None:
        """Measurements may have shown that what somebody waits for cannot be."""
        for unit in {ticket.unit for ticket in self._queue if not self._units[ticket.unit].usable}:
            try:
                self._memory.check(unit)
            except InsufficientMemory as error:
                self._refuse(unit, error)

    def _refuse(self, unit: Unit, error: Exception) -> None:
        for ticket in self._queue:
            if ticket.unit == unit:
                ticket.failure = error
        self._queue = [ticket for ticket in self._queue if ticket.unit != unit]

    def _grant(self, tickets: list[Ticket], blocked: frozenset[Unit]) -> None:
        for ticket in tickets:
            entry = self._units[ticket.unit]
            if entry.usable and ticket.unit not in blocked:
                self._grants += 1
                entry.leases += 1
                entry.granted_at = self._grants
                ticket.granted = True
        self._queue = [ticket for ticket in self._queue if not ticket.granted]

    def _leave(self, units: Iterable[Unit]) -> list[Unit]:
        leaving = list(units)
        for unit in leaving:
            self._units[unit].state = UnitState.UNLOADING
        return leaving

    def _enter(self, unit: Unit) -> tuple[Unit, ...]:
        loading = any(entry.state is UnitState.LOADING for entry in self._units.values())
        if loading or not self._memory.fits(unit):
            return ()
        entry = self._units[unit]
        entry.state, entry.reserved = UnitState.LOADING, self._memory.need(unit)
        return (unit,)
