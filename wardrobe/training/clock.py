"""Trainings that end at a time of day."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from wardrobe.training import parallel


@dataclass(frozen=True, slots=True)
class Left:
    """Of a run's time: minutes, and their share 0..1 of all that it had."""

    minutes: float
    share: float


def time_left(until: str) -> Iterator[Left]:
    """What is left, as often as asked, until the clock shows `HH:MM`; the same in all processes."""
    began, minutes = time.monotonic(), minutes_until(until, datetime.now())
    while (left := parallel.agreed(minutes - (time.monotonic() - began) / 60)) > 0:
        yield Left(left, left / minutes)


def minutes_until(clock: str, now: datetime) -> float:
    """Minutes from `now` to the next time the clock shows `HH:MM`."""
    hour, minute = (int(part) for part in clock.split(":"))
    end = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return ((end if end > now else end + timedelta(days=1)) - now).total_seconds() / 60


def falling_rate(step: int, share_left: float, full: float, warmup: int) -> float:
    """Up to `full` in `warmup` steps, then a cosine to 2 % by the share, 0..1, of the time that is left."""
    warm = min(1.0, (step + 1) / warmup)
    return full * warm * (0.02 + 0.98 * 0.5 * (1 - math.cos(math.pi * min(1.0, max(0.0, share_left)))))
