"""Jobs on the whole stack: through the official client on real Triton, and through a gateway that is killed."""

import json
import shutil
import signal
from pathlib import Path

import httpx
import openai

from tests.gateway.jobs.client import events, job, picture, submit, until, wait_for
from tests.gateway.model_folder import WARDROBE
from tests.support.stack import RunningStack, start_stack

EXACT = {
    "prompt": "a woman with long brown hair wearing a red striped t-shirt and blue plain trousers, in a meadow",
    "model": "wardrobe",
    "seed": 21,
    "num_inference_steps": 20,
    "deterministic": True,
}


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
        jobs = [submit(http, **{**EXACT, "num_inference_steps": 60, "seed": seed}) for seed in range(3)]
        until(lambda: job(http, jobs[1])["progress"] > 0, 60)
        assert http.delete(f"/v1/jobs/{jobs[1]}").json()["status"] == "cancelled"
        assert [wait_for(http, each, "completed", "failed", seconds=120)["status"] for each in (jobs[0], jobs[2])] == [
            "completed"
        ] * 2
        assert job(http, jobs[1])["status"] == "cancelled"


def test_a_gateway_that_is_killed_does_its_jobs_when_it_is_back(tmp_path: Path) -> None:
    # One model, and torch, for which nothing needs to be compiled first.
    models = tmp_path / "models"
    shutil.copytree(WARDROBE, models / "wardrobe")
    environment = {
        "TRIPTYCH_MODELS__DIRECTORIES": json.dumps([str(models)]),
        "TRIPTYCH_BACKEND__RUNTIME": "torch",
        "TRIPTYCH_JOBS__LEASE_SECONDS": "2",
        "TRIPTYCH_JOBS__MAX_ACTIVE": "1",
    }
    long = {**EXACT, "num_inference_steps": 60}
    with start_stack(
        tmp_path, backend="inprocess", environment=environment, embedded=False, ready_seconds=240
    ) as stack:
        with httpx.Client(base_url=stack.url, timeout=120) as http:
            jobs = [submit(http, **long), submit(http, **EXACT)]
            until(lambda: job(http, jobs[0])["progress"] > 0.1, 60)
        stack.process.send_signal(signal.SIGKILL)
        stack.process.wait(30)
    with (
        start_stack(tmp_path, backend="inprocess", environment=environment, embedded=False, ready_seconds=240) as stack,
        httpx.Client(base_url=stack.url, timeout=120) as http,
    ):
        for order, job_id in zip((long, EXACT), jobs, strict=True):
            done = wait_for(http, job_id, "completed", "failed", seconds=120)
            assert done["status"] == "completed", done
            url = stack.url + "/files/" + done["result"]["data"][0]["url"].split("/files/")[1]
            straight = http.post("/v1/images/generations", json=order).json()
            assert http.get(url).content == picture(http, straight)
        statuses = [each.data["status"] for each in events(http, jobs[0], after=0) if each.kind == "job.state"]
        # After that, again and again until the models are there.
        assert statuses[:3] == ["queued", "generating", "generating"], "begun anew after its lease ran out"
