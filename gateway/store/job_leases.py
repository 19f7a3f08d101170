"""Records of jobs as those see them who do the work. Who has a job's lease does it; nobody else may write to it.

A lease is a fresh random name for every time that a job is taken, so that a gateway which was stopped for a while and
wakes up cannot write into what another one, or itself, has begun anew. Times are Unix seconds: gateways that share a
database need clocks that agree to within a fraction of a lease.
"""

import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Update, and_, or_, select, update

from gateway.domain.jobs import Job, JobEventKind, JobFailure, JobStatus
from gateway.store.database import Database
from gateway.store.job_rows import changing, failure_text, job_of, write_event, write_status
from gateway.store.schema import jobs
from gateway.store.whole import whole


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job to be done now. `order` is JSON."""

    job: Job
    order: str
    base_url: str
    lease: str


class JobLeases:
    """Every method is one transaction. All raise StoreUnavailable; False means that the lease is lost."""

    def __init__(self, database: Database, kinds: Collection[str]) -> None:
        """`kinds`: those that can be done here; others are left to other gateways."""
        self._database = database
        self._kinds = tuple(kinds)

    async def waiting(self, now: float) -> bool:
        """Whether there is a job to be claimed."""
        async with self._database.reading() as connection:
            return (
                await connection.execute(select(jobs.c.number).where(self._claimable(now)).limit(1))
            ).first() is not None

    @whole
    async def claim(self, until: float, now: float) -> Claimed | None:
        """The oldest job that waits or that its gateway left behind, until then. None: there is none."""
        lease = secrets.token_hex(16)
        oldest = select(jobs.c.number, jobs.c.job_order, jobs.c.base_url).where(self._claimable(now))
        oldest = oldest.order_by(jobs.c.number).limit(1).with_for_update(skip_locked=True)
        async with self._database.transaction() as connection:
            found = (await connection.execute(oldest)).first()
            if found is None:
                return None
            change = changing(
                status=JobStatus.GENERATING.value,
                started=now,
                attempts=jobs.c.attempts + 1,
                progress=0.0,
                stage=None,
                lease=lease,
                lease_until=until,
            )
            taken = await connection.execute(change.where(jobs.c.number == found.number))
            job = job_of(taken.one())
            await write_status(connection, job, now)
            return Claimed(job, found.job_order, found.base_url, lease)

    @whole
    async def renew(self, lease: str, until: float) -> bool:
        """Keep it until then."""
        async with self._database.transaction() as connection:
            renewed = await connection.execute(_held(update(jobs).values(lease_until=until), lease))
            return bool(renewed.rowcount)

    async def stage(self, lease: str, name: str, now: float) -> bool:
        """The next part of the work began."""
        return await self._tell(changing(stage=name), lease, JobEventKind.STAGE, json.dumps({"stage": name}), now)

    async def progress(self, lease: str, share: float, now: float) -> bool:
        """So much of it is done."""
        detail = json.dumps({"progress": share})
        return await self._tell(changing(progress=share), lease, JobEventKind.PROGRESS, detail, now)

    async def preview(self, lease: str, detail: str, now: float) -> bool:
        """An estimate can be seen; `detail` is JSON."""
        return await self._tell(changing(), lease, JobEventKind.PREVIEW, detail, now)

    async def complete(self, lease: str, result: str, expires: float, now: float) -> bool:
        """`result` is JSON."""
        change = changing(
            status=JobStatus.COMPLETED.value, result=result, progress=1.0, ended=now, expires=expires, lease=None
        )
        return await self._finish(change, lease, now)

    async def fail(self, lease: str, failure: JobFailure, expires: float, now: float) -> bool:
        """For good."""
        text = failure_text(failure)
        change = changing(status=JobStatus.FAILED.value, failure=text, ended=now, expires=expires, lease=None)
        return await self._finish(change, lease, now)

    async def give_back(self, lease: str, not_before: float, now: float, *, counts: bool) -> bool:
        """Queue it again, at its old place. Unless it `counts`, the attempt is forgotten."""
        change = changing(
            status=JobStatus.QUEUED.value,
            not_before=not_before,
            started=None,
            progress=0.0,
            stage=None,
            lease=None,
            attempts=jobs.c.attempts if counts else jobs.c.attempts - 1,
        )
        return await self._finish(change, lease, now)

    @whole
    async def _tell(self, change: Update, lease: str, kind: JobEventKind, detail: str, now: float) -> bool:
        async with self._database.transaction() as connection:
            row = (await connection.execute(_held(change, lease))).first()
            if row is None:
                return False
            await write_event(connection, job_of(row), kind, detail, now)
            return True

    @whole
    async def _finish(self, change: Update, lease: str, now: float) -> bool:
        async with self._database.transaction() as connection:
            row = (await connection.execute(_held(change, lease))).first()
            if row is None:
                return False
            await write_status(connection, job_of(row), now)
            return True

    def _claimable(self, now: float) -> ColumnElement[bool]:
        queued = and_(jobs.c.status == JobStatus.QUEUED.value, jobs.c.not_before <= now)
        left_behind = and_(jobs.c.status == JobStatus.GENERATING.value, jobs.c.lease_until <= now)
        return and_(or_(queued, left_behind), jobs.c.kind.in_(self._kinds))


def _held(change: Update, lease: str) -> Update:
    return change.where(jobs.c.lease == lease, jobs.c.status == JobStatus.GENERATING.value)
