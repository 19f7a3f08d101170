"""Closed-loop load: every user sends the next request as the previous one returns."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from benchmarks.workload import PictureRequest

_FAILURES_PER_USER = 20
_PAUSE_AFTER_FAILURE_S = 0.05


class DrawError(Exception):
    """The picture did not come, or was not the one asked for."""


class Drawer(Protocol):
    """Anything that makes pictures: an HTTP server, a pipeline, the engine."""

    async def draw(self, request: PictureRequest) -> None:
        """Return once the encoded picture is there. Raises DrawError."""
        ...


@dataclass(frozen=True, slots=True)
class Cell:
    """One measured load. `seconds` runs from the first request sent to the last answer received."""

    users: int
    seconds: float
    latencies_s: tuple[float, ...]
    failures: int

    @property
    def images_per_s(self) -> float:
        """Pictures over the whole time, the last users' tail included, so lumps of a batch never flatter."""
        return len(self.latencies_s) / self.seconds


@dataclass(frozen=True, slots=True)
class ShortUnderLoad:
    """Latencies of short requests while `long_finished` long ones completed beside them within `seconds`."""

    seconds: float
    latencies_s: tuple[float, ...]
    failures: int
    long_finished: int


class _User:
    """One user's closed loop until a deadline; gives up after a bounded number of failures."""

    def __init__(self, drawer: Drawer, requests: Iterator[PictureRequest], think_s: float = 0.0) -> None:
        self._drawer = drawer
        self._requests = requests
        self._think_s = think_s
        self.latencies_s: list[float] = []
        self.failures = 0

    async def run(self, seconds: float) -> None:
        """Send at least one request, and none after `seconds`."""
        deadline = perf_counter() + seconds
        while True:
            await self._once()
            if self.failures >= _FAILURES_PER_USER or perf_counter() >= deadline:
                return
            if self._think_s:
                await asyncio.sleep(self._think_s)

    async def _once(self) -> None:
        started = perf_counter()
        try:
            await self._drawer.draw(next(self._requests))
        except DrawError:
            self.failures += 1
            await asyncio.sleep(_PAUSE_AFTER_FAILURE_S)
        else:
            self.latencies_s.append(perf_counter() - started)


async def closed_loop(drawer: Drawer, requests: Iterator[PictureRequest], users: int, seconds: float) -> Cell:
    """`users` users for `seconds`; requests under way at the end are waited for and counted."""
    crowd = [_User(drawer, requests) for _ in range(users)]
    started = perf_counter()
    await asyncio.gather(*(user.run(seconds) for user in crowd))
    return Cell(
        users=users,
        seconds=perf_counter() - started,
        latencies_s=tuple(latency for user in crowd for latency in user.latencies_s),
        failures=sum(user.failures for user in crowd),
    )


async def short_under_load(
    drawer: Drawer,
    short: Iterator[PictureRequest],
    long: Iterator[PictureRequest],
    *,
    long_users: int,
    seconds: float,
    think_s: float,
    head_start_s: float = 0.5,
) -> ShortUnderLoad:
    """One user sends `short` requests while `long_users` keep the machine busy, whose last ones are dropped."""
    crowd = [_User(drawer, long) for _ in range(long_users)]
    tasks = [asyncio.create_task(user.run(float("inf"))) for user in crowd]
    visitor = _User(drawer, short, think_s)
    try:
        await asyncio.sleep(head_start_s)
        before = sum(len(user.latencies_s) for user in crowd)
        started = perf_counter()
        await visitor.run(seconds)
        elapsed = perf_counter() - started
        finished = sum(len(user.latencies_s) for user in crowd) - before
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
    failures = visitor.failures + sum(user.failures for user in crowd)
    return ShortUnderLoad(elapsed, tuple(visitor.latencies_s), failures, finished)
