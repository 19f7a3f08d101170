"""Trainings that end at a time of day."""

import math
from datetime import datetime, timedelta


def minutes_until(clock: str, now: datetime) -> float:
    """Minutes from `now` to the next time the clock shows `HH:MM`."""
    hour, minute = (int(part) for part in clock.split(":"))
    end = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return ((end if end > now else end + timedelta(days=1)) - now).total_seconds() / 60


def falling_rate(step: int, share_left: float, full: float, warmup: int) -> float:
    """Up to `full` in `warmup` steps, then a cosine to 2 % by the share, 0..1, of the time that is left."""
    warm = min(1.0, (step + 1) / warmup)
    return full * warm * (0.02 + 0.98 * 0.5 * (1 - math.cos(math.pi * min(1.0, max(0.0, share_left)))))
