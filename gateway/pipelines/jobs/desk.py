"""Where jobs are handed in, asked after and called off. Any gateway with the same stores answers the same."""

import asyncio
import time
from collections.abc import AsyncGenerator

from gateway.domain.errors import GatewayError, Overloaded
from gateway.domain.jobs import Job, JobEvent, JobStatus
from gateway.domain.telemetry import JobTelemetry
from gateway.pipelines.admission import Admission
from gateway.pipelines.jobs.bell import Bell, rung
from gateway.pipelines.jobs.handler import NewJob
from gateway.pipelines.jobs.inputs import JobInputs, WrittenOrder
from gateway.pipelines.jobs.limits import JobLimits
from gateway.store.jobs import JobRecords, NewRecord, new_job_id

NEW_JOBS = "new jobs"
"""The bell's topic; the others are ids of jobs."""
_LOOK_SECONDS = 1.0
"""How often to look for what other gateways did."""


class JobDesk:
    """Every method raises StoreUnavailable."""

    def __init__(
        self,
        *,
        records: JobRecords,
        inputs: JobInputs,
        bell: Bell,
        admission: Admission,
        telemetry: JobTelemetry,
        limits: JobLimits,
        leaving: asyncio.Event,
    ) -> None:
        """`leaving`: set once this gateway is about to end; see `leave`."""
        self._records = records
        self._inputs = inputs
        self._bell = bell
        self._admission = admission
        self._telemetry = telemetry
        self._limits = limits
        self._leaving = leaving

    async def submit(self, new: NewJob) -> Job:
        """Queue it; its files are copied when this returns. Raises Overloaded, Draining."""
        self._admission.check_open()
        if (await self._records.counts()).queued >= self._limits.max_queued:
            raise self._full()
        job_id = new_job_id()
        written = WrittenOrder(order=new.order.model_dump_json(), fields=tuple(picture.field for picture in new.inputs))
        record = NewRecord(job_id, new.kind, written.model_dump_json(), new.base_url)
        await self._inputs.put(job_id, new.inputs)
        try:
            job = await self._records.add(record, self._limits.max_queued, time.time())
            if job is None:
                raise self._full()
        except GatewayError:
            await self._inputs.delete(job_id, len(new.inputs))
            raise
        self._bell.ring(NEW_JOBS)
        return job

    def leave(self) -> None:
        """Begin no more jobs here, and let those go who listen to jobs that wait: they come back to another gateway."""
        self._leaving.set()

    async def find(self, job_id: str) -> Job:
        """Raises JobNotFound, JobExpired."""
        return await self._records.find(job_id, time.time())

    async def queue_position(self, job: Job) -> int | None:
        """1 is next; None for jobs that do not wait."""
        return await self._records.queue_position(job) if job.status is JobStatus.QUEUED else None

    async def page(self, limit: int, after: str | None, status: JobStatus | None) -> list[Job]:
        """The newest first, of those older than the job `after`. Raises JobNotFound, JobExpired."""
        before = None if after is None else (await self.find(after)).number
        return await self._records.page(limit, before, status, time.time())

    async def cancel(self, job_id: str) -> Job:
        """A job that has ended stays as it is. Raises JobNotFound, JobExpired."""
        now = time.time()
        if await self._records.cancel(job_id, now + self._limits.result_ttl, now):
            self._bell.ring(job_id)
            job = await self.find(job_id)
            self._telemetry.job_ended(job.kind, job.status)
            return job
        return await self.find(job_id)

    async def follow(self, job_id: str, after: int) -> AsyncGenerator[tuple[Job, list[JobEvent]]]:
        """The job with its events above `after`, again and again as news comes; ends once it has ended.

        Without news it comes once a second, with no events.
        """
        with self._bell.listening(job_id) as news:
            while True:
                news.clear()
                job = await self.find(job_id)
                events = await self._records.events(job, after) if job.last_event > after else []
                # The job was read first: its events up to its last one are all there, and those after it come next.
                events = [event for event in events if event.number <= job.last_event]
                after = max(after, job.last_event)
                yield job, events
                if job.status.final or (self._leaving.is_set() and job.status is JobStatus.QUEUED):
                    return
                await rung(news, _LOOK_SECONDS)

    def _full(self) -> Overloaded:
        return Overloaded(
            f"{self._limits.max_queued} jobs are waiting, which is the limit; retry later",
            code="queue_full",
            retry_after=self._admission.retry_after(),
        )
