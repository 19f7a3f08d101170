"""Host memory for what left the device, whose way back is shorter than from disk. Pure, and for one thread."""

from dataclasses import dataclass

from gateway.domain.residency import Unit


@dataclass(slots=True)
class _Place:
    """`bytes` are counted from the decision to keep the unit until it was dropped."""

    bytes: int
    since: float
    leaving: bool = False


class HostShelf:
    """Units in the order in which they came; the first leave for others. Never holds more than its budget."""

    def __init__(self, budget: int) -> None:
        """`budget` in bytes; 0 keeps nothing."""
        self.budget = budget
        self._places: dict[Unit, _Place] = {}

    @property
    def used(self) -> int:
        """Bytes taken or reserved."""
        return sum(place.bytes for place in self._places.values())

    def displaced_by(self, size: int) -> tuple[Unit, ...] | None:
        """What must be dropped before so many bytes fit, and counts as leaving from now on. None: they never fit."""
        if not 0 < size <= self.budget:
            return None
        leaving: list[Unit] = []
        missing = self.used + size - self.budget
        for unit, place in self._places.items():
            if missing <= 0:
                break
            place.leaving = True
            missing -= place.bytes
            leaving.append(unit)
        return tuple(leaving)

    def put(self, unit: Unit, size: int, now: float) -> bool:
        """Reserve room for the unit; False where there is none."""
        if self.used + size > self.budget:
            return False
        self._places[unit] = _Place(size, now)
        return True

    def measured(self, unit: Unit, size: int) -> bool:
        """So much it really takes; False where that is too much, and it must be dropped."""
        self._places[unit].bytes = size
        return self.used <= self.budget

    def expired(self, now: float, seconds: float) -> tuple[Unit, ...]:
        """What has waited for so long, and counts as leaving from now on."""
        old = [unit for unit, place in self._places.items() if now - place.since >= seconds]
        for unit in old:
            self._places[unit].leaving = True
        return tuple(old)

    def is_leaving(self, unit: Unit) -> bool:
        """Whether it is still to be dropped: nobody took it to the device meanwhile."""
        place = self._places.get(unit)
        return place is not None and place.leaving

    def remove(self, unit: Unit) -> None:
        """It is on the device again, or dropped."""
        self._places.pop(unit, None)
