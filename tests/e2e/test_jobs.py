"""Jobs on the whole stack: through the official client on real Triton, and through a stack that is killed."""

import signal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.fitting import EXACT as TRYON
from tests.gateway.jobs.client import events, job, picture, submit, until, wait_for
from tests.support.stack import RunningStack, start_stack

EXACT = {
    "prompt": "a woman with long brown hair wearing a red striped t-shirt and blue plain trousers, in a meadow",
    "model": "wardrobe",
    "seed": 21,
    "num_inference_steps": 20,
    "deterministic": True,
}
LONG = {"num_inference_steps": 100}
"""So that there is time to do something to a job before it is done."""


def test_a_generation_as_a_job_followed_to_its_end(client: openai.OpenAI, stack: RunningStack) -> None:
    answer = client.post(
        "/images/generations", body={**EXACT, "async": True, "partial_images": 2}, cast_to=httpx.Response
    )
    assert answer.status_code == 202
    with httpx.Client(base_url=stack.url, timeout=120) as http:
        told = list(events(http, answer.json()["id"], after=0))
        assert [event.kind for event in told if event.kind == "job.preview"] == ["job.preview"] * 2
        assert any(event.kind == "job.progress" for event in told) and told[-1].kind == "job.completed"
        straight = http.post("/v1/images/generations", json=EXACT).json()
        assert picture(http, told[-1].data["result"]) == picture(http, straight)


def test_one_of_several_is_cancelled(stack: RunningStack) -> None:
    with httpx.Client(base_url=stack.url, timeout=120) as http:
        jobs = [submit(http, **{**EXACT, **LONG}), submit(http, **EXACT), submit(http, **{**EXACT, "seed": 22})]
        until(lambda: job(http, jobs[0])["progress"] > 0, 60)
        assert http.delete(f"/v1/jobs/{jobs[0]}").json()["status"] == "cancelled"
        for others in jobs[1:]:
            assert wait_for(http, others, "completed", "failed", seconds=120)["status"] == "completed"
        assert job(http, jobs[0])["status"] == "cancelled"


@pytest.mark.timeout(600)
def test_a_stack_that_is_killed_does_its_jobs_when_it_is_back(tmp_path: Path) -> None:
    """To the byte as it answers straight, before and after: generations and try-ons."""
    environment = {"TRIPTYCH_JOBS__LEASE_SECONDS": "2", "TRIPTYCH_JOBS__MAX_ACTIVE": "1"}
    orders: dict[str, dict[str, Any]] = {"/v1/images/generations": {**EXACT, **LONG}, "/v1/tryon-fast": TRYON}
    with start_stack(tmp_path, environment=environment) as stack:
        with httpx.Client(base_url=stack.url, timeout=120) as http:
            before = straight(http, "/v1/tryon-fast", TRYON)
            jobs = [submit_to(http, *each) for each in orders.items()]
            until(lambda: job(http, jobs[0])["progress"] > 0.1, 60)
        stack.process.send_signal(signal.SIGKILL)
        stack.process.wait(30)
    with start_stack(tmp_path, environment=environment) as stack, httpx.Client(base_url=stack.url, timeout=120) as http:
        for (route, order), job_id in zip(orders.items(), jobs, strict=True):
            done = wait_for(http, job_id, "completed", "failed", seconds=120)
            assert done["status"] == "completed", done
            # Its links name the port that the gateway had when the job was sent.
            path = done["result"]["data"][0]["url"].split("/files/")[1]
            assert http.get(f"/files/{path}").content == straight(http, route, order)
        assert straight(http, "/v1/tryon-fast", TRYON) == before
        statuses = [each.data["status"] for each in events(http, jobs[0], after=0) if each.kind == "job.state"]
        # After that, again and again until the models are there.
        assert statuses[:3] == ["queued", "generating", "generating"], "begun anew after its lease ran out"
        assert [each["status"] for each in http.get("/v1/jobs").json()["data"]] == ["completed"] * 2


def submit_to(http: httpx.Client, route: str, order: dict[str, Any]) -> str:
    answer = http.post(route, json={**order, "async": True})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def straight(http: httpx.Client, route: str, order: dict[str, Any]) -> bytes:
    """The picture as it is answered without a job."""
    return picture(http, http.post(route, json=order).raise_for_status().json())
