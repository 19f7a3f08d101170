"""Takes jobs from the queue while this gateway has room for them."""

import asyncio
import logging
import time

from gateway.domain.errors import Draining, StoreUnavailable
from gateway.pipelines.admission import Admission
from gateway.pipelines.jobs.bell import rung
from gateway.pipelines.jobs.desk import NEW_JOBS
from gateway.pipelines.jobs.work import JobWork, Workshop
from gateway.store.jobs import JobRecords

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
"""How often to look for jobs that other gateways took in, or left behind."""


class JobRunner:
    """At most `max_active` jobs at once, each with a permit of the admission that it shares with requests."""

    def __init__(self, workshop: Workshop, records: JobRecords, admission: Admission, leaving: asyncio.Event) -> None:
        """`leaving`: once it is set no more jobs are taken."""
        self._shop = workshop
        self._records = records
        self._admission = admission
        self._leaving = leaving
        self._available = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to take jobs."""
        self._tasks.append(asyncio.create_task(self._look(), name="jobs"))
        for place in range(self._shop.limits.max_active):
            self._tasks.append(asyncio.create_task(self._worker(), name=f"job-{place}"))

    async def stop(self) -> None:
        """Returns when every job that was under way is back in the queue."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look(self) -> None:
        reachable = True
        with self._shop.bell.listening(NEW_JOBS) as news:
            while True:
                news.clear()
                try:
                    if await self._shop.leases.waiting(time.time()):
                        self._available.set()
                    counts = await self._records.counts()
                    self._shop.telemetry.jobs(counts.queued, counts.generating)
                    reachable = True
                except StoreUnavailable:
                    if reachable:
                        logger.exception("jobs wait for the database")
                    reachable = False
                except Exception:
                    logger.exception("what jobs there are could not be found out")
                await rung(news, _LOOK_SECONDS)

    async def _worker(self) -> None:
        while not self._leaving.is_set():
            await self._available.wait()
            # Whoever finds a job lets the next one look.
            self._available.clear()
            try:
                async with self._admission.patient_slot():
                    await self._take()
            except Draining:
                return
            except StoreUnavailable:
                logger.warning("no job could be taken: the database is away")
            except Exception:
                logger.exception("a job could not be taken")

    async def _take(self) -> None:
        if self._leaving.is_set():
            return
        now = time.time()
        claimed = await self._shop.leases.claim(now + self._shop.limits.lease, now)
        if claimed is None:
            return
        self._available.set()
        logger.info("job %d (%s): attempt %d", claimed.job.number, claimed.job.kind, claimed.job.attempts)
        await JobWork(self._shop, claimed).run()
