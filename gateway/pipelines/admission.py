"""Admission by permit: a bounded number of generations run, a bounded number wait, the rest are told when to retry."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from gateway.domain.errors import Draining, Overloaded
from gateway.domain.telemetry import Stage, Telemetry

_SMOOTHING = 0.2
"""Weight of the newest duration in the running mean."""
_LONGEST_ADVICE = 120
_DRAIN_ADVICE = 5
"""Seconds; a replacement instance is usually up by then."""

_holds_permit: ContextVar[bool] = ContextVar("holds_permit", default=False)
"""Of the task at hand: whatever a pipeline asks for within a permit is part of the same work."""


class Admission:
    """Counts generations; belongs to one event loop."""

    def __init__(self, max_concurrent: int, max_queued: int, telemetry: Telemetry) -> None:
        self._max_concurrent = max_concurrent
        self._max_queued = max_queued
        self._telemetry = telemetry
        self._permits = asyncio.Semaphore(max_concurrent)
        self._active = 0
        self._waiting = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._mean_seconds = 1.0

    @property
    def draining(self) -> bool:
        """Whether new work is refused because the gateway is shutting down."""
        return self._draining

    def begin_drain(self) -> None:
        """Refuse new work from now on; what runs or waits goes on."""
        self._draining = True

    async def wait_idle(self, seconds: float) -> bool:
        """Wait for running and waiting work to end; False when it did not within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def retry_after(self) -> int:
        """Seconds until a permit is likely free: those ahead, at the recent mean duration."""
        ahead = self._waiting + 1
        estimate = self._mean_seconds * ahead / self._max_concurrent
        return max(1, min(_LONGEST_ADVICE, math.ceil(estimate)))

    def check_open(self) -> None:
        """Raises Draining once the gateway is shutting down."""
        if self._draining:
            raise Draining("the server is shutting down; retry shortly", retry_after=_DRAIN_ADVICE)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a permit. Raises Draining or Overloaded at once; otherwise waits in order of arrival.

        Within a permit this gives no second one.
        """
        if _holds_permit.get():
            yield
            return
        self.check_open()
        if self._active + self._waiting >= self._max_concurrent + self._max_queued:
            raise Overloaded(
                f"{self._active} requests are running and {self._waiting} are waiting, which is the limit; retry later",
                retry_after=self.retry_after(),
            )
        self._count(active=0, waiting=1)
        queued = time.monotonic()
        try:
            await self._permits.acquire()
        finally:
            self._count(active=0, waiting=-1)
        self._telemetry.stage(Stage.QUEUE, time.monotonic() - queued)
        async with self._permit():
            begun = time.monotonic()
            yield
            self._mean_seconds += _SMOOTHING * (time.monotonic() - begun - self._mean_seconds)

    @asynccontextmanager
    async def patient_slot(self) -> AsyncIterator[None]:
        """Hold a permit, for work that has a queue of its own: waits in the same line as requests, and is counted as
        none of those that wait. Raises Draining, when it began before its turn too.
        """
        self.check_open()
        await self._permits.acquire()
        try:
            self.check_open()
        except Draining:
            self._permits.release()
            raise
        async with self._permit():
            yield

    @asynccontextmanager
    async def _permit(self) -> AsyncIterator[None]:
        """Give back what was acquired."""
        self._count(active=1, waiting=0)
        token = _holds_permit.set(True)
        try:
            yield
        finally:
            _holds_permit.reset(token)
            self._permits.release()
            self._count(active=-1, waiting=0)

    def _count(self, active: int, waiting: int) -> None:
        self._active += active
        self._waiting += waiting
        if self._active + self._waiting:
            self._idle.clear()
        else:
            self._idle.set()
        self._telemetry.load(self._active, self._waiting)
