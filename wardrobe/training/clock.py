"""Trainings that end at a time of day."""

from datetime import datetime, timedelta


def minutes_until(clock: str, now: datetime) -> float:
    """Minutes from `now` to the next time the clock shows `HH:MM`."""
    hour, minute = (int(part) for part in clock.split(":"))
    end = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return ((end if end > now else end + timedelta(days=1)) - now).total_seconds() / 60
