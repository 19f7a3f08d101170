"""Requests and jobs share one line."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context

import pytest

from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.domain.errors import Draining, Overloaded
from gateway.pipelines.admission import Admission


def admission(concurrent: int, queued: int) -> Admission:
    return Admission(concurrent, queued, PrometheusTelemetry())


def apart(work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
    """A task of another request: what begins within a permit belongs to it."""
    return asyncio.get_running_loop().create_task(work, context=Context())


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_comes_first_goes_first() -> None:
    line = admission(1, 5)
    order: list[str] = []

    async def request(name: str) -> None:
        async with line.slot():
            order.append(name)

    async def job(name: str) -> None:
        async with line.patient_slot():
            order.append(name)

    async with line.slot():
        tasks = []
        for name, work in (("a", request), ("b", job), ("c", request), ("d", job)):
            tasks.append(apart(work(name)))
            await settled()
        assert order == []
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c", "d"]


async def test_jobs_that_wait_take_no_place_of_requests_that_wait() -> None:
    line = admission(1, 1)

    async def request() -> None:
        async with line.slot():
            pass

    async def job() -> None:
        async with line.patient_slot():
            pass

    async with line.slot():
        tasks = [apart(work()) for work in (job, job, job, request)]
        await settled()
        assert not any(task.done() for task in tasks)
        with pytest.raises(Overloaded):
            await apart(request())
    await asyncio.gather(*tasks)
    assert await line.wait_idle(1)


async def test_within_a_permit_there_is_no_second_one() -> None:
    line = admission(1, 0)
    async with line.patient_slot():
        async with asyncio.timeout(5), line.slot():
            pass

        async def elsewhere() -> None:
            async with line.slot():
                pass

        # Tasks of the same work belong to it.
        await asyncio.wait_for(asyncio.create_task(elsewhere()), 5)
    # After it everybody needs one again.
    async with line.slot():
        with pytest.raises(Overloaded):
            await apart(elsewhere())


async def test_jobs_begin_no_more_once_the_gateway_drains() -> None:
    line = admission(1, 0)

    async def job() -> None:
        async with line.patient_slot():
            pytest.fail("no permit is given any more")

    async with line.slot():
        waiting = apart(job())
        await settled()
        line.begin_drain()
    with pytest.raises(Draining):
        await waiting
    assert await line.wait_idle(1)
    with pytest.raises(Draining):
        await job()
