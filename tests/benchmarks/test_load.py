"""The load generator, against a small HTTP server of our own."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI, HTTPException
from PIL import Image

from benchmarks.client import HttpDrawer, check_png
from benchmarks.load import DrawError, closed_loop, short_under_load
from benchmarks.processes import free_port
from benchmarks.workload import LONG_STEPS, SHORT_STEPS, Workload, requests

WORKLOAD = Workload(Path("/models/tiny"), Path("/runtime"), "tiny", 8, 4.0, "dpm++_2m_karras", 64, 64)
STEP_S = 0.005


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


class Painter:
    """Answers after `STEP_S` a step, to any number of users at once; remembers the crowd it saw."""

    def __init__(self, width: int = 64, status: int = 200) -> None:
        self.active = 0
        self.most = 0
        self.seeds: list[int] = []
        self._answer = base64.b64encode(png(width, 64)).decode()
        self._status = status
        self.app = FastAPI()
        self.app.post("/v1/images/generations")(self.generate)

    async def generate(self, body: dict[str, object]) -> dict[str, object]:
        if self._status != 200:
            raise HTTPException(self._status, "busy")
        self.seeds.append(int(str(body["seed"])))
        self.active += 1
        self.most = max(self.most, self.active)
        await asyncio.sleep(STEP_S * int(str(body["num_inference_steps"])))
        self.active -= 1
        return {"created": 0, "data": [{"b64_json": self._answer}]}


@asynccontextmanager
async def serving(painter: Painter) -> AsyncIterator[HttpDrawer]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(painter.app, host="127.0.0.1", port=port, log_level="error"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        async with HttpDrawer(f"http://127.0.0.1:{port}", "tiny", users=8) as drawer:
            yield drawer
    finally:
        server.should_exit = True
        await task


async def test_a_closed_loop_keeps_exactly_its_users_busy() -> None:
    painter = Painter()
    async with serving(painter) as drawer:
        cell = await closed_loop(drawer, requests(WORKLOAD), 4, 3)
    assert painter.most == 4
    assert cell.failures == 0
    assert len(cell.latencies_s) == len(painter.seeds) == len(set(painter.seeds)) >= 8
    assert min(cell.latencies_s) >= STEP_S * WORKLOAD.steps
    assert cell.seconds >= 3
    assert cell.images_per_s == pytest.approx(len(cell.latencies_s) / cell.seconds)


async def test_short_requests_are_timed_beside_long_ones() -> None:
    painter = Painter()
    async with serving(painter) as drawer:
        result = await short_under_load(
            drawer,
            requests(WORKLOAD, steps=SHORT_STEPS, seed=1),
            requests(WORKLOAD, steps=LONG_STEPS, seed=2),
            long_users=3,
            seconds=4,
            think_s=0.01,
            head_start_s=0.1,
        )
    assert painter.most == 4
    assert len(result.latencies_s) >= 3
    assert result.long_finished >= 3
    assert result.failures == 0
    assert min(result.latencies_s) < STEP_S * LONG_STEPS


async def test_failures_are_counted_and_bounded() -> None:
    async with serving(Painter(status=503)) as drawer:
        cell = await closed_loop(drawer, requests(WORKLOAD), 2, 60)
    assert cell.latencies_s == ()
    assert cell.failures == 40
    assert cell.images_per_s == 0


async def test_a_picture_of_another_size_is_a_failure() -> None:
    async with serving(Painter(width=32)) as drawer:
        with pytest.raises(DrawError, match="32x64, asked for was 64x64"):
            await drawer.draw(next(requests(WORKLOAD)))


def test_only_a_png_is_a_picture() -> None:
    check_png(png(64, 64), 64, 64)
    with pytest.raises(DrawError, match="not a PNG"):
        check_png(b"GIF89a", 64, 64)


def test_requests_differ_and_repeat_by_seed() -> None:
    stream, again = requests(WORKLOAD, seed=3), requests(WORKLOAD, seed=3)
    first = [next(stream) for _ in range(50)]
    assert first == [next(again) for _ in range(50)]
    assert len({request.prompt for request in first}) == 50
    assert len({request.seed for request in first}) == 50
