"""More work than fits, clients that leave, deadlines, a backend that fails, and a shutdown under load."""

import asyncio
import threading
import time
from pathlib import Path

import httpx
import openai
import pytest

from gateway.app import begin_drain
from gateway.domain.errors import BackendTimeout, BackendUnavailable, QueueFull
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.jobs.client import until
from tests.gateway.server import RunningGateway, serve
from tests.gateway.unread import sent

ROUTE = "/v1/images/generations"


def body(steps: int, **fields: object) -> dict[str, object]:
    return {"prompt": "a red dress", "num_inference_steps": steps, **fields}


def wait_until_idle(backend: FakeBackend, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while backend.running:
        assert time.monotonic() < deadline, "work goes on for nobody"
        time.sleep(0.002)


async def test_beyond_the_queue_is_429_with_advice(folder: Path) -> None:
    backend = FakeBackend(step_seconds=0.1)
    limits = {"generation.max_concurrent": 2, "generation.max_queued": 3}
    with serve(folder, dict(limits), backend) as gateway:
        async with httpx.AsyncClient(base_url=gateway.url, timeout=20) as http:
            asked = [asyncio.ensure_future(http.post(ROUTE, json=body(150))) for _ in range(12)]
            while sum(each.done() for each in asked) < 7:  # noqa: ASYNC110 - their deadline is the client's
                await asyncio.sleep(0.01)
            backend.step_seconds = 0
            answers = await asyncio.gather(*asked)
            metrics = (await http.get("/metrics")).text
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 7
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error"]["type"] == "rate_limit_error"
    assert backend.most_running == 2
    assert 'triptych_generations_total{outcome="rejected"} 7.0' in metrics


def test_the_backends_full_queue_is_429(gateway: RunningGateway, client: openai.OpenAI) -> None:
    gateway.backend.fail_denoise = QueueFull("full")
    for stream in (False, True):
        with pytest.raises(openai.RateLimitError) as caught:
            client.images.generate(prompt="a", stream=stream)  # type: ignore[call-overload]
        assert int(caught.value.response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("place", ["fail_encode", "fail_denoise", "fail_decode"])
def test_a_backend_that_is_away_is_503(gateway: RunningGateway, http: httpx.Client, place: str) -> None:
    setattr(gateway.backend, place, BackendUnavailable("away", retry_after=2))
    answer = http.post(ROUTE, json=body(2, prompt=f"never seen before {place}"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    setattr(gateway.backend, place, None)
    assert http.post(ROUTE, json=body(2, prompt=f"never seen before {place}")).status_code == 200


def test_a_backend_that_dies_in_mid_stream(gateway: RunningGateway, client: openai.OpenAI) -> None:
    gateway.backend.fail_denoise, gateway.backend.fail_after_steps = BackendUnavailable("died", retry_after=2), 39
    gateway.backend.step_seconds = 0.1
    events = iter(
        client.images.generate(prompt="a", stream=True, partial_images=3, extra_body={"num_inference_steps": 40})
    )
    assert next(events).type == "image_generation.partial_image"
    gateway.backend.fail_after_steps = 0
    with pytest.raises(openai.APIError, match="died"):
        list(events)


def test_a_backend_that_is_late_is_504(gateway: RunningGateway, http: httpx.Client) -> None:
    gateway.backend.fail_denoise = BackendTimeout("late")
    assert http.post(ROUTE, json=body(2)).status_code == 504


@pytest.mark.parametrize("stream", [False, True])
def test_hanging_up_stops_the_work_within_a_step(gateway: RunningGateway, http: httpx.Client, stream: bool) -> None:
    gateway.backend.step_seconds = 0.1
    connection = sent(gateway.url + ROUTE, body(150, stream=stream))
    until(lambda: gateway.backend.steps_done > 0)
    connection.close()
    wait_until_idle(gateway.backend)
    assert gateway.backend.cancelled == 1
    assert gateway.backend.steps_done < 100  # of 150; a client hangs up after the first
    until(lambda: "triptych_generations_active 0.0" in http.get("/metrics").text)


def test_hanging_up_in_the_queue_frees_the_place(folder: Path) -> None:
    backend = FakeBackend(step_seconds=0.1)
    with serve(folder, {"generation.max_concurrent": 1, "generation.max_queued": 1}, backend) as gateway:

        def waiting(count: int) -> bool:
            return f"triptych_generations_waiting {count}.0" in httpx.get(gateway.url + "/metrics").text

        url = gateway.url + ROUTE
        running = sent(url, body(150))
        until(lambda: len(backend.jobs) == 1)
        gone = sent(url, body(1))
        until(lambda: waiting(1))
        gone.close()
        until(lambda: waiting(0))
        next_one = sent(url, body(1))
        until(lambda: waiting(1))
        backend.step_seconds = 0
        assert [each.getresponse().status for each in (running, next_one)] == [200, 200]
        running.close()
        next_one.close()
    assert len(backend.jobs) == 2


@pytest.mark.parametrize("place", ["step_seconds", "encode_seconds"])
def test_a_request_that_takes_too_long_is_504_and_over(folder: Path, place: str) -> None:
    backend = FakeBackend()
    setattr(backend, place, 10)
    with serve(folder, {"generation.request_timeout": 0.2}, backend) as gateway:
        begun = time.monotonic()
        answer = httpx.post(gateway.url + ROUTE, json=body(100))
        assert time.monotonic() - begun < 4
        assert answer.status_code == 504
        assert answer.json()["error"]["code"] == "request_timeout"
        wait_until_idle(backend)
        stream = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0)
        with pytest.raises(openai.APIError, match="longer than"):
            list(stream.images.generate(prompt="a", stream=True))


def test_draining_refuses_new_work_and_ends_the_old(folder: Path) -> None:
    backend = FakeBackend(step_seconds=0.01)
    with serve(folder, None, backend) as gateway:
        answers: list[int] = []
        under_way = threading.Thread(
            target=lambda: answers.append(httpx.post(gateway.url + ROUTE, json=body(60), timeout=20).status_code)
        )
        under_way.start()
        until(lambda: len(backend.jobs) == 1)
        begin_drain(gateway.app)
        refused = httpx.post(gateway.url + ROUTE, json=body(1))
        assert refused.status_code == 503 and refused.headers["retry-after"]
        assert httpx.get(gateway.url + "/readyz").json() == {"status": "draining"}
        gateway.server.should_exit = True
        under_way.join()
        assert answers == [200]
    assert backend.closed


async def test_many_at_once_share_their_prompts_encode(folder: Path) -> None:
    backend = FakeBackend(encode_seconds=0.1)
    with serve(folder, {"generation.max_concurrent": 32}, backend) as gateway:
        async with httpx.AsyncClient(base_url=gateway.url, timeout=20) as http:
            first = asyncio.ensure_future(http.post(ROUTE, json=body(1)))
            await asyncio.sleep(0.03)
            others = [asyncio.ensure_future(http.post(ROUTE, json=body(1))) for _ in range(15)]
            await asyncio.sleep(0.03)
            first.cancel()
            answers = await asyncio.gather(*others)
    assert [answer.status_code for answer in answers] == [200] * 15
    assert backend.encoded == [2]


def test_two_hundred_requests_leave_nothing_behind(gateway: RunningGateway, http: httpx.Client) -> None:
    gateway.backend.step_seconds = 0
    for seed in range(200):
        assert http.post(ROUTE, json=body(1, seed=seed, response_format="b64_json")).status_code == 200
    assert gateway.backend.running == 0
