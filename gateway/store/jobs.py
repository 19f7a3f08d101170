"""Records of jobs as callers see them: taken in, looked at, listed, cancelled. Times are Unix seconds."""

import secrets
from dataclasses import dataclass

from sqlalchemy import func, insert, literal, select

from gateway.domain.errors import JobExpired, JobNotFound
from gateway.domain.jobs import Job, JobEvent, JobEventKind, JobStatus
from gateway.store.database import Database
from gateway.store.job_rows import JOB_COLUMNS, changing, job_of, write_status
from gateway.store.schema import job_events, jobs
from gateway.store.whole import whole

_OPEN = (JobStatus.QUEUED.value, JobStatus.GENERATING.value)


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A job to be queued. `order` is JSON."""

    id: str
    kind: str
    order: str
    base_url: str


@dataclass(frozen=True, slots=True)
class JobCounts:
    """Of all gateways together."""

    queued: int
    generating: int


def new_job_id() -> str:
    """192 random bits: who knows it may see and cancel the job."""
    return f"job_{secrets.token_urlsafe(24)}"


class JobRecords:
    """Every method is one transaction. All raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @whole
    async def add(self, record: NewRecord, max_queued: int, now: float) -> Job | None:
        """Queue it; None where `max_queued` are waiting already."""
        values = {
            "id": record.id,
            "kind": record.kind,
            "status": JobStatus.QUEUED.value,
            "job_order": record.order,
            "base_url": record.base_url,
            "created": now,
            "not_before": now,
            "attempts": 0,
            "progress": 0.0,
            "last_event": 1,
        }
        # One statement: between a count and an insert others would squeeze in.
        queued = select(func.count()).where(jobs.c.status == JobStatus.QUEUED.value).scalar_subquery()
        row = select(*(literal(value, jobs.c[name].type) for name, value in values.items())).where(queued < max_queued)
        async with self._database.transaction() as connection:
            added = await connection.execute(insert(jobs).from_select(list(values), row).returning(*JOB_COLUMNS))
            first = added.first()
            if first is None:
                return None
            job = job_of(first)
            await write_status(connection, job, now)
            return job

    async def find(self, job_id: str, now: float) -> Job:
        """Raises JobNotFound, JobExpired."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(*JOB_COLUMNS).where(jobs.c.id == job_id))).first()
        if row is None:
            raise JobNotFound("there is no such job")
        job = job_of(row)
        if job.expires is not None and job.expires <= now:
            raise JobExpired(f"the job ended as {job.status} and its result has been deleted since")
        return job

    async def queue_position(self, job: Job) -> int:
        """How many queued jobs are ahead of it, and itself."""
        ahead = select(func.count()).where(jobs.c.status == JobStatus.QUEUED.value, jobs.c.number < job.number)
        async with self._database.reading() as connection:
            return 1 + int((await connection.execute(ahead)).scalar_one())

    async def page(self, limit: int, before: int | None, status: JobStatus | None, now: float) -> list[Job]:
        """The newest jobs first, of those with a smaller number than `before`; without expired ones."""
        query = select(*JOB_COLUMNS).where((jobs.c.expires.is_(None)) | (jobs.c.expires > now))
        if before is not None:
            query = query.where(jobs.c.number < before)
        if status is not None:
            query = query.where(jobs.c.status == status.value)
        async with self._database.reading() as connection:
            rows = await connection.execute(query.order_by(jobs.c.number.desc()).limit(limit))
            return [job_of(row) for row in rows]

    async def events(self, job: Job, after: int) -> list[JobEvent]:
        """Its events with a number above `after`, oldest first."""
        columns = (job_events.c.number, job_events.c.kind, job_events.c.created, job_events.c.detail)
        query = select(*columns).where(job_events.c.job == job.number, job_events.c.number > after)
        async with self._database.reading() as connection:
            rows = await connection.execute(query.order_by(job_events.c.number))
            return [JobEvent(row.number, JobEventKind(row.kind), row.created, row.detail) for row in rows]

    @whole
    async def cancel(self, job_id: str, expires: float, now: float) -> bool:
        """Whether it was this call that ended it. False: it had ended before, or there is none."""
        change = changing(status=JobStatus.CANCELLED.value, ended=now, expires=expires, lease=None)
        async with self._database.transaction() as connection:
            changed = await connection.execute(change.where(jobs.c.id == job_id, jobs.c.status.in_(_OPEN)))
            row = changed.first()
            if row is None:
                return False
            await write_status(connection, job_of(row), now)
            return True

    async def counts(self) -> JobCounts:
        """How many are open."""
        query = select(jobs.c.status, func.count()).where(jobs.c.status.in_(_OPEN)).group_by(jobs.c.status)
        async with self._database.reading() as connection:
            found = {status: int(number) for status, number in await connection.execute(query)}
        return JobCounts(found.get(_OPEN[0], 0), found.get(_OPEN[1], 0))

    async def open_ids(self) -> set[str]:
        """Of the jobs that have not ended."""
        async with self._database.reading() as connection:
            return set((await connection.execute(select(jobs.c.id).where(jobs.c.status.in_(_OPEN)))).scalars())
