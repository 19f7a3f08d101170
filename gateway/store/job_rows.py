"""Between rows and what they stand for."""

import json
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, Update, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.jobs import Job, JobEventKind, JobFailure, JobStatus
from gateway.store.schema import job_events, jobs

JOB_COLUMNS = (
    jobs.c.number,
    jobs.c.id,
    jobs.c.kind,
    jobs.c.status,
    jobs.c.created,
    jobs.c.started,
    jobs.c.ended,
    jobs.c.expires,
    jobs.c.attempts,
    jobs.c.progress,
    jobs.c.stage,
    jobs.c.result,
    jobs.c.failure,
    jobs.c.last_event,
)


def job_of(row: Row[*tuple[Any, ...]]) -> Job:
    """A row of JOB_COLUMNS, which are the fields of a Job."""
    failure = None if row.failure is None else JobFailure(**json.loads(row.failure))
    return Job(**{**row._asdict(), "status": JobStatus(row.status), "failure": failure})


def failure_text(failure: JobFailure) -> str:
    """For the column."""
    return json.dumps(asdict(failure))


def changing(**values: object) -> Update:
    """Set these of a job, and count the event that tells of it; add the WHERE."""
    return update(jobs).values(last_event=jobs.c.last_event + 1, **values).returning(*JOB_COLUMNS)


async def write_event(connection: AsyncConnection, job: Job, kind: JobEventKind, detail: str, now: float) -> None:
    """The event that `changing` counted for this job."""
    await connection.execute(
        insert(job_events).values(job=job.number, number=job.last_event, kind=kind, created=now, detail=detail)
    )


async def write_status(connection: AsyncConnection, job: Job, now: float) -> None:
    """The event of its present status."""
    await write_event(connection, job, JobEventKind.STATUS, json.dumps({"status": job.status}), now)
