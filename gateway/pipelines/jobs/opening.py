"""Jobs, put together: desk, runner and housekeeping over one database and one store of files."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.domain.telemetry import JobTelemetry
from gateway.pipelines.admission import Admission
from gateway.pipelines.housekeeping import Housekeeping
from gateway.pipelines.jobs.bell import Bell
from gateway.pipelines.jobs.desk import JobDesk
from gateway.pipelines.jobs.handler import JobHandler
from gateway.pipelines.jobs.inputs import JobInputs
from gateway.pipelines.jobs.limits import JobLimits
from gateway.pipelines.jobs.runner import JobRunner
from gateway.pipelines.jobs.work import Workshop
from gateway.store.database import Database
from gateway.store.job_expiry import JobExpiry
from gateway.store.job_leases import JobLeases
from gateway.store.jobs import JobRecords
from gateway.store.migrate import migrate
from gateway.store.objects import ObjectStore
from gateway.store.pictures import PictureStore
from gateway.store.sharing import PictureSharing
from gateway.store.signing import UrlSigner


@dataclass(frozen=True, slots=True)
class Stores:
    """Where records and files are."""

    database: Database
    objects: ObjectStore
    pictures: PictureStore
    signer: UrlSigner
    sharing: PictureSharing


@asynccontextmanager
async def open_jobs(
    stores: Stores,
    handlers: Sequence[JobHandler],
    admission: Admission,
    telemetry: JobTelemetry,
    limits: JobLimits,
    *,
    ready: Callable[[], Awaitable[bool]],
) -> AsyncIterator[JobDesk]:
    """Work on jobs until the block ends; then those under way are back in the queue and the database is closed.

    `ready` tells whether the backend can take work.
    Raises StoreUnavailable where the database cannot be brought to the present version.
    """
    try:
        await migrate(stores.database)
        records, inputs, bell = JobRecords(stores.database), JobInputs(stores.objects), Bell()
        shop = Workshop(
            leases=JobLeases(stores.database, [handler.kind for handler in handlers]),
            inputs=inputs,
            pictures=stores.pictures,
            sharing=stores.sharing,
            handlers={handler.kind: handler for handler in handlers},
            bell=bell,
            telemetry=telemetry,
            limits=limits,
            ready=ready,
        )
        leaving = asyncio.Event()
        runner = JobRunner(shop, records, admission, leaving)
        keeping = Housekeeping(stores.pictures, inputs, records, JobExpiry(stores.database), limits.tombstone)
        sweeper = asyncio.create_task(keeping.run(), name="housekeeping")
        runner.start()
        try:
            yield JobDesk(
                records=records,
                inputs=inputs,
                bell=bell,
                admission=admission,
                telemetry=telemetry,
                limits=limits,
                leaving=leaving,
            )
        finally:
            sweeper.cancel()
            await asyncio.gather(sweeper, return_exceptions=True)
            await runner.stop()
    finally:
        await stores.database.close()
