"""One job that was taken, done to its end, whatever end that is."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pydantic import BaseModel

from gateway.domain.errors import BackendError, Draining, GatewayError, JobInterrupted, StoreUnavailable, Unexpected
from gateway.domain.jobs import JobFailure, JobStatus
from gateway.domain.telemetry import JobTelemetry
from gateway.pipelines.jobs.bell import Bell
from gateway.pipelines.jobs.handler import JobHandler, TakenJob, read_order
from gateway.pipelines.jobs.inputs import JobInputs, WrittenOrder
from gateway.pipelines.jobs.kept_files import KeptFiles
from gateway.pipelines.jobs.limits import JobLimits
from gateway.pipelines.jobs.progress import ProgressWriter
from gateway.store.job_leases import Claimed, JobLeases
from gateway.store.pictures import PictureStore
from gateway.store.sharing import PictureSharing

logger = logging.getLogger(__name__)

_LATER = frozenset({429, 503})
"""Statuses of errors that pass by themselves."""
_LONGEST_PAUSE = 60.0
_INSIST_SECONDS = 1.0
_PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Workshop:
    """What jobs are done with."""

    leases: JobLeases
    inputs: JobInputs
    pictures: PictureStore
    sharing: PictureSharing
    handlers: Mapping[str, JobHandler]
    bell: Bell
    telemetry: JobTelemetry
    limits: JobLimits
    ready: Callable[[], Awaitable[bool]]
    """Whether the backend can take work; may raise BackendError."""


class JobWork:
    """Does one claimed job, once."""

    def __init__(self, workshop: Workshop, claimed: Claimed) -> None:
        self._shop = workshop
        self._claimed = claimed
        self._job = claimed.job
        self._fields: tuple[str, ...] = ()
        self._files = KeptFiles(
            workshop.sharing, workshop.pictures, claimed.base_url, lifetime=workshop.limits.result_ttl
        )
        self._lost = asyncio.Event()

    async def run(self) -> None:
        """Returns when the job has ended, was put back into the queue, or is no longer ours.

        Cancelled, it puts the job back: somebody else, or this gateway after its restart, begins it anew.
        """
        keeping = asyncio.create_task(self._keep_lease())
        work = asyncio.create_task(self._work())
        lost = asyncio.create_task(self._lost.wait())
        self._shop.bell.ring(self._job.id)
        try:
            await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                # Cancelled by its caller, or another gateway's by now.
                await _end(work)
                await self._files.discard()
                return
            await self._conclude(work)
        except asyncio.CancelledError:
            await _end(work)
            lease = self._claimed.lease
            if await self._insist(lambda now: self._shop.leases.give_back(lease, now, now, counts=False)):
                await self._files.discard()
            raise
        finally:
            await _end(keeping, lost)
            self._shop.bell.ring(self._job.id)

    async def _work(self) -> BaseModel:
        written = read_order(WrittenOrder, self._claimed.order)
        self._fields = written.fields
        if self._job.attempts > self._shop.limits.max_attempts:
            raise JobInterrupted(f"given up after {self._shop.limits.max_attempts} attempts that were all interrupted")
        progress = ProgressWriter(self._shop.leases, self._claimed.lease, self._files, self._lost.set)
        progress.start(lambda: self._shop.bell.ring(self._job.id))
        try:
            inputs = await self._shop.inputs.open(self._job.id, written.fields)
            handler = self._shop.handlers[self._job.kind]
            body = await handler.run(TakenJob(self._job.id, written.order, inputs), progress, self._files)
            await progress.finish()
            return body
        finally:
            await progress.stop()

    async def _conclude(self, work: asyncio.Task[BaseModel]) -> None:
        leases, lease = self._shop.leases, self._claimed.lease
        ttl = self._shop.limits.result_ttl
        try:
            result = (await work).model_dump_json(exclude_none=True)
        except GatewayError as error:
            await self._files.discard()
            # While the backend starts, as after a restart of everything, it is not the job that fails.
            counts = await self._ready() and not isinstance(error, Draining)
            if error.status in _LATER and (not counts or self._job.attempts < self._shop.limits.max_attempts):
                pause = max(error.retry_after or 0, min(_LONGEST_PAUSE, 2**self._job.attempts))
                await self._insist(lambda now: leases.give_back(lease, now + pause, now, counts=counts))
                logger.warning("job %d is tried again in %d s: %s", self._job.number, pause, error.message)
                return
            if not error.public:
                logger.error("job %d: %s: %s", self._job.number, type(error).__name__, error.message, exc_info=error)
            failure = _failure(error, self._job.number)
            ended = await self._insist(lambda now: leases.fail(lease, failure, now + ttl, now))
            await self._ended(JobStatus.FAILED, ended=ended)
        except Exception as error:
            logger.exception("job %d", self._job.number)
            await self._files.discard()
            failure = _failure(Unexpected(repr(error)), self._job.number)
            ended = await self._insist(lambda now: leases.fail(lease, failure, now + ttl, now))
            await self._ended(JobStatus.FAILED, ended=ended)
        else:
            ended = await self._insist(lambda now: leases.complete(lease, result, now + ttl, now))
            await self._ended(JobStatus.COMPLETED, ended=ended)
            if not ended:
                await self._files.discard()

    async def _ready(self) -> bool:
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                return await self._shop.ready()
        except (TimeoutError, BackendError):
            return False

    async def _ended(self, status: JobStatus, *, ended: bool) -> None:
        if not ended:
            return
        self._shop.telemetry.job_ended(self._job.kind, status)
        with suppress(StoreUnavailable):
            # What stays is swept later.
            await self._shop.inputs.delete(self._job.id, len(self._fields))

    async def _keep_lease(self) -> None:
        """Say that we are alive; find out when the job is no longer ours."""
        limits = self._shop.limits
        while True:
            await asyncio.sleep(min(1.0, limits.lease / 3))
            try:
                if not await self._shop.leases.renew(self._claimed.lease, time.time() + limits.lease):
                    self._lost.set()
                    return
            except StoreUnavailable:
                # Nobody else can take the job either.
                logger.warning("the lease of job %d could not be renewed", self._job.number)

    async def _insist(self, write: Callable[[float], Awaitable[bool]]) -> bool:
        """Work that is done is worth waiting for the database: as long as a lease, then the job is begun anew."""
        deadline = time.monotonic() + self._shop.limits.lease
        while True:
            try:
                return await write(time.time())
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    logger.exception("how job %d ended could not be written; it will be begun anew", self._job.number)
                    return False
            await asyncio.sleep(_INSIST_SECONDS)


def _failure(error: GatewayError, number: int) -> JobFailure:
    message = error.message if error.public else f"the server failed on this job (number {number} in its log)"
    return JobFailure(message, error.error_type, error.code, error.param)


async def _end(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
