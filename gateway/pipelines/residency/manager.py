"""Carries out the policy: leases for requests, loads and unloads through the host, nobody waiting for ever."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from gateway.domain.errors import BackendError, BackendFailed, InsufficientMemory, MemoryBusy
from gateway.domain.residency import ComponentHost, ResidencyCounts, ResidencySnapshot, Unit, UnitState
from gateway.pipelines.residency.footprints import FootprintFile
from gateway.pipelines.residency.host_stage import HostStage
from gateway.pipelines.residency.measuring import Measuring, Rehearsal
from gateway.pipelines.residency.options import ResidencyOptions
from gateway.pipelines.residency.policy import ResidencyPolicy, Ticket

logger = logging.getLogger(__name__)

_LONGEST_ADVICE = 60
_SWEEPS = 4
"""Idle units are looked for so many times within the time that they may be idle."""


async def _nothing() -> None:
    """No call."""


class ResidencyManager:
    """Belongs to one event loop. `open` it after the models were published, before the first lease."""

    def __init__(
        self, host: ComponentHost, units: Iterable[Unit], options: ResidencyOptions, footprints: FootprintFile
    ) -> None:
        """`footprints` remembers what units were measured to take."""
        self._host = host
        self._names = tuple(units)
        self._options = options
        self._measuring = Measuring(host, footprints)
        self._policy = ResidencyPolicy(None, {})
        self._stage = HostStage(host, options.host_budget_bytes)
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts = ResidencyCounts()
        self._mean_load = 1.0

    async def open(self) -> None:
        """Take stock and bring in what is pinned. Raises InsufficientMemory where that is over the budget, and
        BackendError where it cannot be loaded.
        """
        known = await asyncio.to_thread(self._measuring.all, self._names)
        pinned = [unit for unit in self._names if unit.model in self._options.pinned]
        self._policy = ResidencyPolicy(self._options.budget_bytes, known, pinned)
        for unit in pinned:
            async with self.lease(unit):
                pass
        if self._options.idle_seconds is not None:
            self._spawn(self._sweep(self._options.idle_seconds))

    def check(self, model: str) -> None:
        """Raises InsufficientMemory where a component of the model can never fit."""
        for unit in self._names:
            if unit.model == model:
                try:
                    self._policy.check(unit)
                except BackendError:
                    self._refused()
                    raise

    @asynccontextmanager
    async def lease(self, unit: Unit, work: int = 0, rehearsal: Rehearsal = _nothing) -> AsyncIterator[None]:
        """The unit is in memory and stays there, and what it takes with calls of up to `work` numbers a row is known:
        where it was not, `rehearsal` was run on it alone.

        Raises InsufficientMemory, MemoryBusy, or why it cannot be loaded or rehearsed.
        """
        while True:
            ticket = self._ask(unit, work)
            try:
                await self._granted(ticket)
                if await self._is_known(unit, work, rehearsal):
                    yield
                    return
            finally:
                self._policy.give_up(ticket, time.monotonic())
                self._advance()

    async def resync(self) -> None:
        """Something failed that should not have: find out what is not in memory any more."""
        believed = {status.unit for status in self._policy.status() if status.state is UnitState.LOADED}
        try:
            present = await self._host.present()
        except BackendError as error:
            logger.warning("it is not known what is in memory: %s", error)
            return
        for unit in believed - present:
            logger.warning("%s is not in memory any more", unit.name)
            self._policy.lost(unit)
        self._advance()

    def renew(self, unit: Unit) -> None:
        """What is loaded of it is of no use: load it anew before anybody uses it again."""
        self._policy.renew(unit)
        self._advance()

    async def remeasure(self, unit: Unit) -> None:
        """Of a unit that was used: its calls may have made it larger, and then it is reckoned with that."""
        await self._measuring.again(self._policy, unit)
        self._advance()

    def snapshot(self) -> ResidencySnapshot:
        """Everything now."""
        return ResidencySnapshot(
            budget=self._policy.budget,
            used=self._policy.used,
            units=self._policy.status(),
            counts=self._counts,
            host_budget=self._stage.budget,
            host_used=self._stage.used,
        )

    async def close(self) -> None:
        """Stop; what is loaded stays so until the host closes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ask(self, unit: Unit, work: int) -> Ticket:
        try:
            self._measuring.announce(self._policy, unit, work)
            return self._policy.ask(unit)
        except InsufficientMemory:
            self._refused()
            raise

    async def _is_known(self, unit: Unit, work: int, rehearsal: Rehearsal) -> bool:
        try:
            return await self._measuring.knows(self._policy, unit, work, rehearsal)
        except InsufficientMemory:
            self._refused()
            raise
        finally:
            self._advance()

    async def _granted(self, ticket: Ticket) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = future
        self._advance()
        if not ticket.granted and ticket.failure is None:
            ahead = self._policy.position(ticket)
            logger.info("%s waits for memory behind %d other components", ticket.unit.name, ahead)
        try:
            async with asyncio.timeout(self._options.wait_seconds):
                await future
        except TimeoutError:
            self._refused()
            raise MemoryBusy(
                f"{ticket.unit.model} did not come into memory within {self._options.wait_seconds:g} s: requests for "
                "other models use what there is; retry later",
                retry_after=self._advice(ticket),
            ) from None
        finally:
            self._waiting.pop(ticket, None)

    def _advice(self, ticket: Ticket) -> int:
        """Seconds: the loads before this one, at the usual time of a load."""
        return max(1, min(_LONGEST_ADVICE, round(self._mean_load * (self._policy.position(ticket) + 1))))

    def _advance(self) -> None:
        moves = self._policy.advance()
        for ticket, future in self._waiting.items():
            if future.done():
                continue
            if ticket.granted:
                future.set_result(None)
            elif ticket.failure is not None:
                future.set_exception(ticket.failure)
        for unit in moves.unload:
            self._spawn(self._unload(unit))
        for unit in moves.load:
            self._spawn(self._load(unit))

    async def _load(self, unit: Unit) -> None:
        begun = time.monotonic()
        logger.info("loading %s", unit.name)
        try:
            async with self._stage.going_back(unit):
                await self._host.load(unit)
        except Exception as error:
            logger.exception("%s cannot be loaded", unit.name)
            self._counts = replace(self._counts, load_failures=self._counts.load_failures + 1)
            self._policy.failed(unit, _as_backend_error(unit, error))
        else:
            seconds = time.monotonic() - begun
            self._mean_load += 0.3 * (seconds - self._mean_load)
            self._counts = replace(
                self._counts, loads=self._counts.loads + 1, load_seconds=self._counts.load_seconds + seconds
            )
            self._policy.loaded(unit, time.monotonic())
            logger.info("loaded %s in %.2f s", unit.name, seconds)
        self._advance()

    async def _unload(self, unit: Unit) -> None:
        begun = time.monotonic()
        logger.info("unloading %s", unit.name)
        try:
            parked = await self._stage.keep(unit, time.monotonic())
            if parked:
                self._counts = replace(self._counts, parks=self._counts.parks + 1)
            else:
                await self._host.unload(unit)
        except Exception:
            # Its memory may still be taken: only a host that is asked again can tell.
            logger.exception("%s cannot be unloaded", unit.name)
            await self._until_gone(unit)
        seconds = time.monotonic() - begun
        self._counts = replace(
            self._counts, unloads=self._counts.unloads + 1, unload_seconds=self._counts.unload_seconds + seconds
        )
        self._policy.unloaded(unit)
        self._advance()

    async def _until_gone(self, unit: Unit) -> None:
        while True:
            await asyncio.sleep(self._options.retry_seconds)
            try:
                if unit not in await self._host.present():
                    return
                await self._host.unload(unit)
            except Exception as error:
                logger.warning("%s is still there: %s", unit.name, error)
            else:
                return

    async def _sweep(self, idle_seconds: float) -> None:
        while True:
            await asyncio.sleep(idle_seconds / _SWEEPS)
            self._policy.expire(time.monotonic(), idle_seconds)
            self._advance()
            try:
                await self._stage.expire(time.monotonic(), idle_seconds)
            except Exception:
                logger.exception("host memory cannot be given back")

    def _refused(self) -> None:
        self._counts = replace(self._counts, refused=self._counts.refused + 1)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _as_backend_error(unit: Unit, error: Exception) -> BackendError:
    if isinstance(error, BackendError):
        return error
    failure = BackendFailed(f"{unit.name} cannot be loaded: {error}")
    failure.__cause__ = error
    return failure
