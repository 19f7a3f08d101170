"""Records of jobs: the same on SQLite and on a real PostgreSQL."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.domain.errors import JobExpired, JobNotFound, StoreUnavailable
from gateway.domain.jobs import JobFailure, JobStatus
from gateway.store.database import Database, database_url
from gateway.store.job_expiry import JobExpiry
from gateway.store.job_leases import JobLeases
from gateway.store.jobs import JobRecords, NewRecord, new_job_id

NOW = 1_800_000_000.0


def record(kind: str = "drawing") -> NewRecord:
    return NewRecord(new_job_id(), kind, json.dumps({"prompt": "a hat"}), "http://here")


async def test_a_jobs_life_is_told_by_its_events(database: Database) -> None:
    records, leases = JobRecords(database), JobLeases(database, ["drawing"])
    job = await records.add(record(), 10, NOW)
    assert job is not None and job.status is JobStatus.QUEUED and await records.queue_position(job) == 1
    claimed = await leases.claim(NOW + 10, NOW + 1)
    assert claimed is not None and claimed.job.id == job.id and claimed.order == '{"prompt": "a hat"}'
    assert await leases.stage(claimed.lease, "denoise", NOW + 2)
    assert await leases.progress(claimed.lease, 0.5, NOW + 3)
    assert await leases.preview(claimed.lease, '{"url": "there"}', NOW + 4)
    assert await leases.complete(claimed.lease, '{"data": []}', NOW + 100, NOW + 5)
    done = await records.find(job.id, NOW + 6)
    assert (done.status, done.result, done.progress, done.stage) == (
        JobStatus.COMPLETED,
        '{"data": []}',
        1.0,
        "denoise",
    )
    assert (done.created, done.started, done.ended, done.expires) == (NOW, NOW + 1, NOW + 5, NOW + 100)
    events = await records.events(done, 0)
    assert [event.number for event in events] == list(range(1, done.last_event + 1))
    assert [(event.kind.value, json.loads(event.detail)) for event in events] == [
        ("status", {"status": "queued"}),
        ("status", {"status": "generating"}),
        ("stage", {"stage": "denoise"}),
        ("progress", {"progress": 0.5}),
        ("preview", {"url": "there"}),
        ("status", {"status": "completed"}),
    ]
    assert await records.events(done, 4) == events[4:]


async def test_many_at_once_never_take_the_same_job(database: Database, url: str) -> None:
    """Two gateways with connections of their own, each with several workers."""
    other = Database(database_url(url, Path("unused")))
    records = JobRecords(database)
    added = [await records.add(record(), 100, NOW) for _ in range(8)]
    workers = [JobLeases(each, ["drawing"]) for each in (database, other) for _ in range(6)]
    claims = await asyncio.gather(*(worker.claim(NOW + 10, NOW) for worker in workers))
    await other.close()
    numbers = sorted(claim.job.number for claim in claims if claim is not None)
    assert numbers == sorted(job.number for job in added if job is not None)


async def test_the_oldest_first_and_only_kinds_that_are_known(database: Database) -> None:
    records = JobRecords(database)
    jobs = [await records.add(record(kind), 10, NOW) for kind in ("other", "drawing", "drawing")]
    assert all(jobs)
    leases = JobLeases(database, ["drawing"])
    claims = [await leases.claim(NOW + 10, NOW) for _ in range(3)]
    assert [claim and claim.job.id for claim in claims] == [jobs[1].id, jobs[2].id, None]  # type: ignore[union-attr]


async def test_the_queue_is_bounded_however_many_come_at_once(database: Database) -> None:
    records = JobRecords(database)
    for _ in range(3):
        assert await records.add(record(), 3, NOW) is not None
    assert await records.add(record(), 3, NOW) is None
    assert (await records.counts()).queued == 3
    # One that was taken makes room.
    assert await JobLeases(database, ["drawing"]).claim(NOW + 10, NOW) is not None
    assert await records.add(record(), 3, NOW) is not None


async def test_a_lost_lease_writes_nothing_any_more(database: Database) -> None:
    records, leases = JobRecords(database), JobLeases(database, ["drawing"])
    job = await records.add(record(), 10, NOW)
    assert job is not None
    first = await leases.claim(NOW + 10, NOW)
    assert first is not None
    assert await leases.claim(NOW + 20, NOW + 9) is None, "its lease holds"
    assert await leases.renew(first.lease, NOW + 15)
    assert await leases.claim(NOW + 20, NOW + 14) is None, "it was renewed"
    second = await leases.claim(NOW + 30, NOW + 16)
    assert second is not None and second.job.id == job.id and second.job.attempts == 2
    before = await records.find(job.id, NOW)
    failure = JobFailure("broken", "server_error", "internal_error", None)
    assert not await leases.renew(first.lease, NOW + 40)
    assert not await leases.progress(first.lease, 0.9, NOW)
    assert not await leases.complete(first.lease, "{}", NOW + 40, NOW)
    assert not await leases.fail(first.lease, failure, NOW + 40, NOW)
    assert not await leases.give_back(first.lease, NOW, NOW, counts=False)
    assert await records.find(job.id, NOW) == before
    assert await leases.fail(second.lease, failure, NOW + 40, NOW + 17)
    failed = await records.find(job.id, NOW)
    assert failed.status is JobStatus.FAILED and failed.failure == failure and failed.result is None


async def test_what_is_given_back_waits_at_its_old_place(database: Database) -> None:
    records, leases = JobRecords(database), JobLeases(database, ["drawing"])
    jobs = [await records.add(record(), 10, NOW) for _ in range(2)]
    first = await leases.claim(NOW + 10, NOW)
    assert first is not None and await leases.progress(first.lease, 0.7, NOW)
    assert await leases.give_back(first.lease, NOW + 5, NOW, counts=False)
    again = await records.find(first.job.id, NOW)
    assert (again.status, again.attempts, again.progress, again.started) == (JobStatus.QUEUED, 0, 0.0, None)
    second = await leases.claim(NOW + 10, NOW + 1)
    assert second is not None and jobs[1] is not None and second.job.id == jobs[1].id, "the first pauses"
    third = await leases.claim(NOW + 20, NOW + 5)
    assert third is not None and third.job.id == first.job.id
    assert await leases.give_back(third.lease, NOW, NOW, counts=True)
    assert (await records.find(first.job.id, NOW)).attempts == 1


async def test_cancelling_ends_a_job_once(database: Database) -> None:
    records, leases = JobRecords(database), JobLeases(database, ["drawing"])
    waiting, running = [await records.add(record(), 10, NOW) for _ in range(2)]
    assert waiting and running
    assert await records.cancel(waiting.id, NOW + 50, NOW)
    assert not await records.cancel(waiting.id, NOW + 99, NOW + 1), "it stays as it was"
    claimed = await leases.claim(NOW + 10, NOW)
    assert claimed is not None and claimed.job.id == running.id
    assert await records.cancel(running.id, NOW + 50, NOW)
    assert not await leases.complete(claimed.lease, "{}", NOW + 50, NOW)
    assert not await records.cancel("job_nonesuch", NOW, NOW)
    for job in (waiting, running):
        found = await records.find(job.id, NOW)
        assert found.status is JobStatus.CANCELLED and found.expires == NOW + 50


async def test_results_expire_then_are_emptied_then_forgotten(database: Database) -> None:
    records, leases, expiry = JobRecords(database), JobLeases(database, ["drawing"]), JobExpiry(database)
    job, other = [await records.add(record(), 10, NOW) for _ in range(2)]
    assert job and other
    claimed = await leases.claim(NOW + 10, NOW)
    assert claimed is not None and await leases.complete(claimed.lease, "{}", NOW + 5, NOW)
    assert (await records.find(job.id, NOW + 4)).result == "{}"
    with pytest.raises(JobExpired):
        await records.find(job.id, NOW + 5)
    assert [each.id for each in await records.page(10, None, None, NOW + 5)] == [other.id]
    assert await expiry.empty(NOW + 4) == 0
    assert await expiry.empty(NOW + 5) == 1
    assert await expiry.empty(NOW + 5) == 0, "once"
    assert await records.events(job, 0) == []
    with pytest.raises(JobExpired):
        await records.find(job.id, NOW + 5)
    assert await expiry.forget(NOW + 4) == 0
    assert await expiry.forget(NOW + 5) == 1
    with pytest.raises(JobNotFound):
        await records.find(job.id, NOW + 5)
    assert (await records.find(other.id, NOW + 5)).status is JobStatus.QUEUED


async def test_pages_are_newest_first(database: Database) -> None:
    records = JobRecords(database)
    jobs = [await records.add(record(), 10, NOW) for _ in range(5)]
    ids = [job.id for job in reversed(jobs) if job]
    first = await records.page(2, None, None, NOW)
    assert [job.id for job in first] == ids[:2]
    assert [job.id for job in await records.page(9, first[-1].number, None, NOW)] == ids[2:]
    await records.cancel(ids[3], NOW + 5, NOW)
    assert [job.id for job in await records.page(9, None, JobStatus.CANCELLED, NOW)] == [ids[3]]
    assert await records.open_ids() == set(ids) - {ids[3]}


async def test_a_database_that_is_away_says_so_and_nothing_else(tmp_path: Path) -> None:
    database = Database(database_url("postgresql://user:s3cret@127.0.0.1:9/none", tmp_path / "unused"))
    assert "s3cret" not in database.name
    with pytest.raises(StoreUnavailable) as raised:
        await JobRecords(database).add(record(), 10, NOW)
    await database.close()
    assert raised.value.status == 503 and raised.value.retry_after
    assert "s3cret" not in raised.value.message and "hat" not in str(raised.value.__cause__)
