"""What becomes of jobs that have ended: their contents go with their result, and later the rest of them."""

from sqlalchemy import delete, select, update

from gateway.store.database import Database
from gateway.store.schema import job_events, jobs
from gateway.store.whole import whole


class JobExpiry:
    """Both methods are one transaction and raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @whole
    async def empty(self, now: float) -> int:
        """Delete order, result and events of expired jobs; what stays says that there was one. Returns how many."""
        expired = select(jobs.c.number).where(jobs.c.expires <= now, jobs.c.job_order != "")
        async with self._database.transaction() as connection:
            await connection.execute(delete(job_events).where(job_events.c.job.in_(expired)))
            emptied = await connection.execute(
                update(jobs)
                .where(jobs.c.number.in_(expired))
                .values(job_order="", base_url="", result=None, failure=None, stage=None)
            )
            return emptied.rowcount

    @whole
    async def forget(self, expired_before: float) -> int:
        """Delete what is left of jobs whose result went before then; returns how many."""
        async with self._database.transaction() as connection:
            gone = await connection.execute(delete(jobs).where(jobs.c.expires <= expired_before))
            return gone.rowcount
