"""What happens when things go wrong: Triton killed under load, queues full, a drain, and a clean stop."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tests.support.metrics import gateway_metrics, sample, triton_metrics, wait_until_idle
from tests.support.stack import RunningStack, start_stack

BODY = {
    "prompt": "a man wearing a red striped sweater and blue plain trousers",
    "model": "wardrobe",
    "response_format": "b64_json",
}


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack of its own, with room for few requests."""
    limits = {"TRIPTYCH_GENERATION__MAX_CONCURRENT": "4", "TRIPTYCH_GENERATION__MAX_QUEUED": "4"}
    with start_stack(tmp_path_factory.mktemp("fragile"), environment=limits) as running:
        yield running


async def post(stack: RunningStack, http: httpx.AsyncClient, steps: int) -> httpx.Response:
    return await http.post(f"{stack.url}/v1/images/generations", json={**BODY, "num_inference_steps": steps})


async def until_active(stack: RunningStack, count: int) -> None:
    """Until so many requests are under way at once."""
    async with asyncio.timeout(60):
        while sample(await gateway_metrics(stack), "triptych_generations_active") < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_full_queue_is_429_with_retry_after(fragile: RunningStack) -> None:
    async with httpx.AsyncClient(timeout=120) as http:
        answers = await asyncio.gather(*(post(fragile, http, 12) for _ in range(20)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) >= 8
    rejected = [answer for answer in answers if answer.status_code == 429]
    assert len(rejected) == 20 - statuses.count(200) > 0
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in rejected)
    assert all(answer.json()["error"]["code"] for answer in rejected)
    async with httpx.AsyncClient(timeout=60) as http:
        assert (await post(fragile, http, 2)).status_code == 200


async def test_killing_triton_under_load(fragile: RunningStack) -> None:
    victim = fragile.state().triton_pid
    assert victim is not None
    async with httpx.AsyncClient(timeout=60) as http:
        await wait_until_idle(fragile)
        load = [asyncio.ensure_future(post(fragile, http, 150)) for _ in range(6)]
        async with asyncio.timeout(60):
            while not sample(await triton_metrics(fragile), "triptych_engine_active_images"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        answers = await asyncio.gather(*load)
        assert time.monotonic() - killed < 15, "requests in flight hung"
        for answer in answers:
            assert answer.status_code == 503, answer.text
            assert answer.json()["error"]["message"]
        await asyncio.to_thread(fragile.wait_ready, 60)
        assert fragile.state().triton_pid != victim
        assert (await post(fragile, http, 4)).status_code == 200


async def test_one_client_leaving_does_not_disturb_the_others(fragile: RunningStack) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        staying = asyncio.ensure_future(post(fragile, http, 20))
        leaving = asyncio.ensure_future(post(fragile, http, 150))
        await asyncio.sleep(0.3)
        leaving.cancel()
        assert (await staying).status_code == 200
    await wait_until_idle(fragile)


def test_sigterm_drains_and_leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    # On a busy machine 150 steps take longer than a drain usually waits.
    patient = {"TRIPTYCH_SERVER__DRAIN_SECONDS": "150"}
    with start_stack(tmp_path_factory.mktemp("drain"), environment=patient) as running:
        triton = running.state().triton_pid
        assert triton is not None
        family = [psutil.Process(triton), *psutil.Process(triton).children(recursive=True)]

        async def drain() -> tuple[int, int]:
            async with httpx.AsyncClient(timeout=180) as http:
                under_way = asyncio.ensure_future(post(running, http, 150))
                await until_active(running, 1)
                leaving = asyncio.ensure_future(post(running, http, 150))
                await until_active(running, 2)
                leaving.cancel()
                code = await asyncio.to_thread(running.stop, 180)
                return code, (await under_way).status_code

        assert asyncio.run(drain()) == (0, 200)
        gone, alive = psutil.wait_procs(family, timeout=30)
        assert not alive and len(gone) == len(family)
