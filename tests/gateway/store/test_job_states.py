"""Whatever gateways and callers do to jobs in whatever order, the records tell what a simple model of them tells."""

import asyncio
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from gateway.domain.errors import JobExpired, JobNotFound
from gateway.domain.jobs import JobFailure, JobStatus
from gateway.store.database import Database, database_url
from gateway.store.job_expiry import JobExpiry
from gateway.store.job_leases import JobLeases
from gateway.store.jobs import JobRecords, NewRecord, new_job_id
from gateway.store.migrate import migrate
from gateway.store.schema import jobs

LEASE = 10.0
TTL = 30.0
TOMBSTONE = 40.0
MOST_QUEUED = 4
FAILURE = JobFailure("no", "server_error", "internal_error", "prompt")


@dataclass(frozen=True)
class Expected:
    """A job as it should be."""

    number: int
    status: JobStatus = JobStatus.QUEUED
    attempts: int = 0
    progress: float = 0.0
    not_before: float = 0.0
    expires: float | None = None
    events: tuple[str, ...] = field(default=("status",))


@dataclass(frozen=True)
class Held:
    """A lease that was given once."""

    job: str
    lease: str
    attempt: int


class Jobs(RuleBasedStateMachine):
    """One database, seen through two gateways."""

    databases: tuple[Database, Database]
    loop: asyncio.AbstractEventLoop
    ids = Bundle("ids")
    leases = Bundle("leases")

    @initialize()
    def begin(self) -> None:
        self.now = 1000.0
        self.expected: dict[str, Expected] = {}
        self.current: dict[str, tuple[str, float]] = {}
        """Of each job that is done: its lease and until when."""
        self.records = [JobRecords(database) for database in self.databases]
        self.workers = [JobLeases(database, ["drawing"]) for database in self.databases]
        self.run(self.clear())

    async def clear(self) -> None:
        async with self.databases[0].transaction() as connection:
            await connection.execute(jobs.delete())

    def run(self, work):  # type: ignore[no-untyped-def]
        return self.loop.run_until_complete(work)

    def change(self, job: str, *events: str, **values: object) -> None:
        known = self.expected[job]
        self.expected[job] = replace(known, events=(*known.events, *events), **values)  # type: ignore[arg-type]

    def holds(self, held: Held) -> bool:
        return self.current.get(held.job, ("", 0.0))[0] == held.lease

    @rule(seconds=st.sampled_from([1.0, 5.0, 11.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=ids, gateway=st.integers(0, 1))
    def add(self, gateway: int):  # type: ignore[no-untyped-def]
        queued = sum(each.status is JobStatus.QUEUED for each in self.expected.values())
        record = NewRecord(new_job_id(), "drawing", "{}", "")
        job = self.run(self.records[gateway].add(record, MOST_QUEUED, self.now))
        assert (job is None) == (queued >= MOST_QUEUED)
        if job is None:
            return multiple()
        self.expected[job.id] = Expected(job.number, not_before=self.now)
        return job.id

    @rule(target=leases, gateway=st.integers(0, 1))
    def claim(self, gateway: int):  # type: ignore[no-untyped-def]
        waiting = [
            (each.number, job)
            for job, each in self.expected.items()
            if (each.status is JobStatus.QUEUED and each.not_before <= self.now)
            or (each.status is JobStatus.GENERATING and self.current[job][1] <= self.now)
        ]
        assert self.run(self.workers[gateway].waiting(self.now)) == bool(waiting)
        claimed = self.run(self.workers[gateway].claim(self.now + LEASE, self.now))
        assert (claimed and claimed.job.id) == (min(waiting)[1] if waiting else None)
        if claimed is None:
            return multiple()
        job = claimed.job.id
        attempts = self.expected[job].attempts + 1
        self.change(job, "status", status=JobStatus.GENERATING, attempts=attempts, progress=0.0)
        self.current[job] = (claimed.lease, self.now + LEASE)
        return Held(job, claimed.lease, attempts)

    @rule(held=leases, gateway=st.integers(0, 1))
    def renew(self, held: Held, gateway: int) -> None:
        assert self.run(self.workers[gateway].renew(held.lease, self.now + LEASE)) == self.holds(held)
        if self.holds(held):
            self.current[held.job] = (held.lease, self.now + LEASE)

    @rule(held=leases, share=st.sampled_from([0.25, 0.5, 1.0]))
    def progress(self, held: Held, share: float) -> None:
        assert self.run(self.workers[0].progress(held.lease, share, self.now)) == self.holds(held)
        if self.holds(held):
            self.change(held.job, "progress", progress=share)

    @rule(held=leases)
    def preview(self, held: Held) -> None:
        assert self.run(self.workers[1].preview(held.lease, "{}", self.now)) == self.holds(held)
        if self.holds(held):
            self.change(held.job, "preview")

    @rule(held=consumes(leases))
    def complete(self, held: Held) -> None:
        assert self.run(self.workers[0].complete(held.lease, "[]", self.now + TTL, self.now)) == self.holds(held)
        self.end(held, JobStatus.COMPLETED, progress=1.0)

    @rule(held=consumes(leases))
    def fail(self, held: Held) -> None:
        assert self.run(self.workers[1].fail(held.lease, FAILURE, self.now + TTL, self.now)) == self.holds(held)
        self.end(held, JobStatus.FAILED)

    @rule(held=leases, pause=st.sampled_from([0.0, 7.0]), counts=st.booleans())
    def give_back(self, held: Held, pause: float, counts: bool) -> None:
        given = self.run(self.workers[0].give_back(held.lease, self.now + pause, self.now, counts=counts))
        assert given == self.holds(held)
        if given:
            del self.current[held.job]
            attempts = held.attempt if counts else held.attempt - 1
            self.change(
                held.job,
                "status",
                status=JobStatus.QUEUED,
                attempts=attempts,
                progress=0.0,
                not_before=self.now + pause,
            )

    @rule(job=ids, gateway=st.integers(0, 1))
    def cancel(self, job: str, gateway: int) -> None:
        known = self.expected.get(job)
        open_still = known is not None and not known.status.final
        assert self.run(self.records[gateway].cancel(job, self.now + TTL, self.now)) == open_still
        if open_still:
            self.current.pop(job, None)
            self.change(job, "status", status=JobStatus.CANCELLED, expires=self.now + TTL)

    @rule()
    def sweep(self) -> None:
        expiry = JobExpiry(self.databases[1])
        self.run(expiry.empty(self.now))
        forgotten = [
            job
            for job, each in self.expected.items()
            if each.expires is not None and each.expires <= self.now - TOMBSTONE
        ]
        assert self.run(expiry.forget(self.now - TOMBSTONE)) == len(forgotten)
        for job in forgotten:
            del self.expected[job]

    @rule(job=ids)
    def look(self, job: str) -> None:
        known = self.expected.get(job)
        if known is None:
            with pytest.raises(JobNotFound):
                self.run(self.records[0].find(job, self.now))
            return
        if known.expires is not None and known.expires <= self.now:
            with pytest.raises(JobExpired):
                self.run(self.records[0].find(job, self.now))
            return
        found = self.run(self.records[1].find(job, self.now))
        assert (found.status, found.attempts, found.progress) == (known.status, known.attempts, known.progress)
        assert found.expires == known.expires and found.last_event == len(known.events)
        assert (found.result is not None) == (known.status is JobStatus.COMPLETED)
        assert found.failure == (FAILURE if known.status is JobStatus.FAILED else None)
        events = self.run(self.records[0].events(found, 0))
        assert [event.number for event in events] == list(range(1, len(known.events) + 1))
        assert tuple(event.kind.value for event in events) == known.events

    @invariant()
    def counts_are_right(self) -> None:
        if not hasattr(self, "records"):
            return
        counts = self.run(self.records[0].counts())
        statuses = [each.status for each in self.expected.values()]
        assert counts.queued == statuses.count(JobStatus.QUEUED)
        assert counts.generating == statuses.count(JobStatus.GENERATING)

    def end(self, held: Held, status: JobStatus, **values: object) -> None:
        if self.holds(held):
            del self.current[held.job]
            self.change(held.job, "status", status=status, expires=self.now + TTL, **values)


@pytest.mark.parametrize(("kind", "examples"), [("sqlite", 15), ("postgresql", 3)])
def test_the_records_tell_what_happened(kind: str, examples: int, request: pytest.FixtureRequest) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/jobs.db" if kind == "sqlite" else request.getfixturevalue("postgresql")
        loop = asyncio.new_event_loop()
        databases = tuple(Database(database_url(url, Path("unused"))) for _ in range(2))
        loop.run_until_complete(migrate(databases[0]))
        machine = type("Machine", (Jobs,), {"databases": databases, "loop": loop})
        wanted = settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        try:
            run_state_machine_as_test(machine, settings=wanted)
        finally:
            for database in databases:
                loop.run_until_complete(database.close())
            loop.close()
