"""Deletes what nobody can reach any more, now and every few minutes."""

import asyncio
import logging
import time
from dataclasses import dataclass

from gateway.domain.errors import StoreUnavailable
from gateway.pipelines.jobs.inputs import JobInputs
from gateway.store.job_expiry import JobExpiry
from gateway.store.jobs import JobRecords
from gateway.store.pictures import PictureStore

logger = logging.getLogger(__name__)

_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """`tombstone`: seconds for which an expired job is still known to have been."""

    pictures: PictureStore
    inputs: JobInputs
    records: JobRecords
    expiry: JobExpiry
    tombstone: float

    async def run(self) -> None:
        """Until it is cancelled. Gateways that share the stores may all do this."""
        while True:
            try:
                await self.once(time.time())
            except StoreUnavailable:
                logger.exception("what has expired could not be deleted; trying again later")
            await asyncio.sleep(_SECONDS)

    async def once(self, now: float) -> None:
        """Raises StoreUnavailable."""
        deleted = await self.pictures.sweep()
        emptied = await self.expiry.empty(now)
        forgotten = await self.expiry.forget(now - self.tombstone)
        orphans = await self.inputs.sweep(await self.records.open_ids())
        logger.debug(
            "deleted %d pictures, %d jobs' contents, %d jobs, %d orphaned inputs", deleted, emptied, forgotten, orphans
        )
