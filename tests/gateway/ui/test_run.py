"""One visitor's order against an API that is scripted: what is shown, and that nothing is left running."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from gateway.ui.api import Api, ApiError
from gateway.ui.orders import GenerationOrder
from gateway.ui.progress import Phase
from gateway.ui.run import Moment, run
from tests.gateway.ui.scripted_api import BREAK, JOB, WAIT, ScriptedApi

CANCEL = ("DELETE", f"/v1/jobs/{JOB}")
RESULT = {"data": [{"url": "http://public/files/a.png?expires=1", "seed": 5}], "warnings": ["cut"]}
WORKING = {"status": "generating", "progress": 0.0}


def place(api: Api) -> Callable[[], Awaitable[str]]:
    return lambda: api.order("/v1/images/generations", GenerationOrder(prompt="a man"))


async def moments(script: ScriptedApi) -> list[Moment]:
    api = script.api()
    return [moment async for moment in run(api, place(api), asyncio.Event())]


async def test_an_order_is_followed_to_its_end() -> None:
    script = ScriptedApi(
        [
            [
                {"status": "queued", "progress": 0, "queue_position": 2},
                WORKING,
                {"stage": "denoise"},
                {"progress": 0.5},
                {"url": "http://public/files/p.png"},
                {"status": "completed", "progress": 1, "result": RESULT},
            ]
        ]
    )
    told = await moments(script)
    phases = [moment.progress.phase for moment in told]
    assert phases == [Phase.STARTING, Phase.QUEUED, *[Phase.WORKING] * 4, Phase.DONE]
    assert told[1].progress.place == 2
    assert [moment.progress.share for moment in told[2:]] == [0, 0, 0.5, 0.5, 1]
    assert told[4].progress.stage == "denoise"
    assert told[5].preview == "http://public/files/p.png"
    assert told[6].answer is not None and told[6].answer.data[0].seed == 5 and told[6].answer.warnings == ("cut",)
    assert CANCEL not in script.asked


async def test_leaving_cancels_the_job() -> None:
    script = ScriptedApi([[WORKING, WAIT]])
    api = script.api()
    async with aclosing(run(api, place(api), asyncio.Event())) as told:
        async for moment in told:
            if moment.progress.phase is Phase.WORKING:
                break
    assert script.asked[-1] == CANCEL


async def test_leaving_before_the_job_has_an_id_cancels_it_too() -> None:
    script = ScriptedApi([[WORKING, WAIT]])
    script.may_take.clear()
    api = script.api()

    async def visit() -> None:
        async with aclosing(run(api, place(api), asyncio.Event())) as told:
            async for _ in told:
                pass

    visiting = asyncio.create_task(visit())
    await script.placed.wait()
    visiting.cancel()
    await asyncio.sleep(0)
    script.may_take.set()
    with pytest.raises(asyncio.CancelledError):
        await visiting
    assert script.asked[-1] == CANCEL


async def test_stop_cancels_the_job_which_tells_so_itself() -> None:
    script = ScriptedApi([[WORKING, WAIT]])
    api, stop = script.api(), asyncio.Event()
    phases = []
    async for moment in run(api, place(api), stop):
        phases.append(moment.progress.phase)
        if moment.progress.phase is Phase.WORKING:
            stop.set()
    assert phases[-1] is Phase.CANCELLED
    assert script.asked.count(CANCEL) == 1


async def test_what_the_api_refuses_is_raised_in_its_words() -> None:
    script = ScriptedApi([], refusal={"message": "'prompt' must not be empty", "param": "prompt", "code": "x"})
    with pytest.raises(ApiError, match="'prompt' must not be empty") as raised:
        await moments(script)
    assert raised.value.problem.param == "prompt"
    assert CANCEL not in script.asked


async def test_a_job_that_fails_is_an_error_and_not_cancelled() -> None:
    failed = {"status": "failed", "progress": 0.5, "error": {"message": "out of memory", "param": None}}
    script = ScriptedApi([[WORKING, failed]])
    with pytest.raises(ApiError, match="out of memory"):
        await moments(script)
    assert CANCEL not in script.asked


async def test_a_connection_that_breaks_is_made_again() -> None:
    script = ScriptedApi([[WORKING, BREAK], [WORKING, {"status": "completed", "result": RESULT}]])
    assert (await moments(script))[-1].progress.phase is Phase.DONE
    assert script.asked.count(("GET", f"/v1/jobs/{JOB}/events")) == 2


async def test_a_silent_job_is_told_of_every_second() -> None:
    script = ScriptedApi([[WORKING, WAIT]])
    api = script.api()
    async with aclosing(run(api, place(api), asyncio.Event())) as told:
        for _ in range(3):
            moment = await anext(told)
    assert moment.progress.phase is Phase.WORKING and moment.progress.seconds >= 1
