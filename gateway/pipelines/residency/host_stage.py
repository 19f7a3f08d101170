"""Half-way between device and disk: carries out what the shelf says, through the host."""

from asyncio import Lock
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.domain.residency import ComponentHost, Unit
from gateway.pipelines.residency.shelf import HostShelf


class HostStage:
    """Of one event loop. A unit is moved in one direction at a time."""

    def __init__(self, host: ComponentHost, budget: int) -> None:
        """`budget` in bytes of host memory; 0 keeps nothing."""
        self._host = host
        self._shelf = HostShelf(budget)
        self._moving: defaultdict[Unit, Lock] = defaultdict(Lock)

    @property
    def budget(self) -> int:
        """Bytes of host memory."""
        return self._shelf.budget

    @property
    def used(self) -> int:
        """Bytes of it that are taken."""
        return self._shelf.used

    @asynccontextmanager
    async def going_back(self, unit: Unit) -> AsyncIterator[None]:
        """While the unit is brought to the device, from here or from disk. Where that fails, it stays here."""
        async with self._moving[unit]:
            yield
            self._shelf.remove(unit)

    async def keep(self, unit: Unit, now: float) -> bool:
        """Take the unit from the device, others out of its way; False where it stays there, as it cannot wait here."""
        size = self._host.files_bytes(unit)
        displaced = self._shelf.displaced_by(size)
        if displaced is None:
            return False
        for other in displaced:
            await self._drop(other)
        async with self._moving[unit]:
            if not self._shelf.put(unit, size, now):
                return False
            kept = None
            try:
                kept = await self._host.park(unit)
            finally:
                if kept is None:
                    self._shelf.remove(unit)
            if kept is None:
                return False
            if not self._shelf.measured(unit, kept):
                await self._host.unload(unit)
                self._shelf.remove(unit)
            return True

    async def expire(self, now: float, seconds: float) -> None:
        """Drop what has waited here for so long."""
        for unit in self._shelf.expired(now, seconds):
            await self._drop(unit)

    async def _drop(self, unit: Unit) -> None:
        async with self._moving[unit]:
            if self._shelf.is_leaving(unit):
                await self._host.unload(unit)
                self._shelf.remove(unit)
