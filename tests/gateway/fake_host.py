"""A memory that notes what is done with it, and never lets more be loaded than fits."""

import asyncio
from dataclasses import dataclass, field

from gateway.domain.backend import Release
from gateway.domain.errors import BackendError
from gateway.domain.residency import ComponentHost, Unit


@dataclass
class FakeHost(ComponentHost):
    """`sizes` in bytes by unit's name, `size` for others. `fail_load` and `fail_present` are raised when set."""

    limit: int | None = None
    size: int = 10
    sizes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    fail_load: Exception | None = None
    fail_unload: Exception | None = None
    fail_present: BackendError | None = None
    loaded: set[Unit] = field(default_factory=set)
    done: list[str] = field(default_factory=list)
    alone: dict[str, int] = field(default_factory=dict)
    grown: dict[str, int] = field(default_factory=dict)
    pinned: set[Unit] = field(default_factory=set)
    parks: int = 0
    """Bytes of host memory; 0: it cannot park."""
    parked: set[Unit] = field(default_factory=set)
    closed: bool = False

    def bytes(self, unit: Unit) -> int:
        return self.sizes.get(unit.name, self.size)

    async def ready(self) -> bool:
        return not self.closed

    async def release(self, model: str) -> Release:
        return Release(model, "1")

    def files_bytes(self, unit: Unit) -> int:
        return self.bytes(unit)

    def expected_bytes(self, unit: Unit) -> int:
        return 2 * self.bytes(unit)

    async def load(self, unit: Unit) -> None:
        self.done.append(f"+{unit.name}")
        await asyncio.sleep(self.seconds)
        if self.fail_load is not None:
            raise self.fail_load
        assert unit not in self.loaded
        self.parked.discard(unit)
        self.loaded.add(unit)
        taken = sum(map(self.bytes, self.loaded))
        assert self.limit is None or taken <= self.limit, "more was loaded than fits"

    async def unload(self, unit: Unit) -> None:
        self.done.append(f"-{unit.name}")
        await asyncio.sleep(self.seconds)
        if self.fail_unload is not None:
            failure, self.fail_unload = self.fail_unload, None
            raise failure
        if unit in self.parked:
            self.parked.remove(unit)
        else:
            self.loaded.remove(unit)

    async def park(self, unit: Unit) -> int | None:
        if not self.parks:
            return None
        self.done.append(f"~{unit.name}")
        await asyncio.sleep(self.seconds)
        self.loaded.remove(unit)
        self.parked.add(unit)
        assert sum(map(self.bytes, self.parked)) <= self.parks, "more waits in host memory than fits"
        return self.bytes(unit)

    async def measure(self, unit: Unit, *, alone: bool) -> int | None:
        """A host that can tell only what one unit takes alone, and sees `grown` at any time."""
        if alone:
            assert self.loaded - self.pinned == {unit} - self.pinned, "it was not alone"
            return self.alone.get(unit.name, self.bytes(unit))
        return self.grown.get(unit.name)

    async def present(self) -> frozenset[Unit]:
        if self.fail_present is not None:
            raise self.fail_present
        return frozenset(self.loaded)

    async def close(self) -> None:
        self.closed = True
