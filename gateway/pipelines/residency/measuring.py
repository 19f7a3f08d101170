"""Finds out what units take: each comes in alone, and is shown the largest call of the kind that is asked for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from gateway.domain.errors import InsufficientMemory
from gateway.domain.residency import ComponentHost, Footprint, Unit
from gateway.pipelines.residency.footprints import FootprintFile, Measured
from gateway.pipelines.residency.policy import ResidencyPolicy

logger = logging.getLogger(__name__)

_MIB = 2**20
_HEADROOM_SHARE = 20
"""One part in so many is added: what requests in flight hold, and what an allocator could not return."""
Rehearsal = Callable[[], Awaitable[None]]
"""Makes the largest call of a kind."""


class Measuring:
    """Of one event loop. Without a budget nothing needs to be known, and nothing is rehearsed.

    `work` is how much one row of a call shows a unit, in whatever numbers its calls are compared by.
    """

    def __init__(self, host: ComponentHost, footprints: FootprintFile) -> None:
        self._host = host
        self._footprints = footprints
        self._files: dict[Unit, int] = {}
        self._alone = asyncio.Lock()
        self._too_large: dict[Unit, Measured] = {}
        """The smallest calls that were measured to need more than there is."""

    def all(self, units: Iterable[Unit]) -> dict[Unit, Footprint]:
        """What is known of each, once and for all units that will be asked about. Reads folders."""
        found = {}
        for unit in units:
            self._files[unit] = self._host.files_bytes(unit)
            known = self._known(unit)
            size = self._files[unit] if known is None else known.bytes
            found[unit] = Footprint(size, measured=known is not None)
        return found

    def announce(self, policy: ResidencyPolicy, unit: Unit, work: int) -> None:
        """Somebody will ask for such a call. Raises InsufficientMemory where it is known to need too much."""
        if policy.budget is None:
            return
        excess = self._too_large.get(unit)
        if excess is not None and work >= excess.work:
            raise _no_room(unit, excess, policy.room(unit))
        known = self._known(unit)
        if known is None or known.work < work:
            policy.outgrown(unit)

    async def knows(self, policy: ResidencyPolicy, unit: Unit, work: int, rehearsal: Rehearsal) -> bool:
        """Of a leased unit: whether its calls of so much work are reckoned with; where none are, it is measured now.

        False: it is to be asked for again, as it is not alone any more. Raises InsufficientMemory where
        it takes too much, and what the rehearsal raises.
        """
        if policy.budget is None:
            return True
        if not policy.is_measured(unit):
            async with self._alone:
                if policy.is_to_be_measured(unit):
                    await self._measure(policy, unit, work, rehearsal)
        known = self._known(unit)
        return policy.is_measured(unit) and known is not None and known.work >= work

    async def again(self, policy: ResidencyPolicy, unit: Unit) -> None:
        """After a call of a measured unit: where a host can tell that it has grown, it is reckoned with that."""
        size = await self._host.measure(unit, alone=False)
        known = self._known(unit)
        if size is None:
            return
        if known is not None and size > known.bytes:
            size = _with_headroom(size)
            self._footprints.remember(unit, replace(known, bytes=size))
            policy.measured(unit, size)
        elif policy.budget is None:
            policy.measured(unit, size)

    async def _measure(self, policy: ResidencyPolicy, unit: Unit, work: int, rehearsal: Rehearsal) -> None:
        try:
            await rehearsal()
        except InsufficientMemory as error:
            logger.warning("%s has run out of memory with its largest calls: %s", unit.name, error)
        size = await self._host.measure(unit, alone=True)
        if size is None:
            size = self._host.expected_bytes(unit)
        size = _with_headroom(size)
        known = self._known(unit)
        measured = Measured(max(size, 0 if known is None else known.bytes), work, self._files[unit])
        room = policy.room(unit)
        if measured.bytes > room:
            # What smaller calls take may yet fit: nothing is held against them.
            self._too_large[unit] = measured
            policy.renew(unit)
            raise _no_room(unit, measured, room)
        logger.info("%s takes %.0f MiB with its largest calls", unit.name, measured.bytes / _MIB)
        self._footprints.remember(unit, measured)
        policy.measured(unit, measured.bytes)

    def _known(self, unit: Unit) -> Measured | None:
        return self._footprints.get(unit, self._files[unit])


def _with_headroom(size: int) -> int:
    return size + size // _HEADROOM_SHARE


def _no_room(unit: Unit, measured: Measured, room: int) -> InsufficientMemory:
    return InsufficientMemory(
        f"{unit.name} needs {measured.bytes} bytes of memory for calls of this size, and there is room for {room}"
    )
