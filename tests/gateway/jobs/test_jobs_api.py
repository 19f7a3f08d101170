"""Jobs over HTTP, from the 202 to the result, as callers and pages use them."""

import io

import httpx
import openai
import pytest
from PIL import Image

from tests.gateway.jobs.client import events, job, picture, submit, until, wait_for
from tests.gateway.pictures import file_of, mask_of, noise_picture
from tests.gateway.server import RunningGateway

EXACT = {"seed": 7, "deterministic": True, "num_inference_steps": 6}


def test_the_result_is_what_the_route_answers(client: openai.OpenAI, http: httpx.Client) -> None:
    body = {"prompt": "a hat", "n": 2, **EXACT, "user": "somebody"}
    answer = client.post("/images/generations", body={**body, "async": True}, cast_to=httpx.Response)
    assert answer.status_code == 202
    taken = answer.json()
    assert {"id", "kind", "status", "created", "poll_url"} <= set(taken)
    assert taken["kind"] == "image_generation" and taken["status"] == "queued"
    assert answer.headers["location"] == taken["poll_url"] and taken["poll_url"].endswith(f"/v1/jobs/{taken['id']}")
    done = wait_for(http, taken["id"], "completed")
    straight = http.post("/v1/images/generations", json=body).json()
    assert done["progress"] == 1 and done["created"] <= done["started"] <= done["ended"] < done["expires"]
    result = done["result"]
    for place in range(2):
        assert picture(http, result, place) == picture(http, straight, place)
    for each in (result, straight):
        each.pop("created")
        for data in each["data"]:
            assert "/files/" in data.pop("url")
    assert result == straight


def test_an_edits_pictures_come_along(http: httpx.Client, gateway: RunningGateway) -> None:
    fields = {"prompt": "a hat", "seed": "5", "num_inference_steps": "4", "strength": "0.6", "deterministic": "true"}
    image, mask = (file_of(each).read() for each in (noise_picture(64, 64), mask_of(64, 64, (8, 8, 40, 40))))
    files = {"image": ("a.png", image), "mask": ("m.png", mask)}
    straight = http.post("/v1/images/edits", data=fields, files=files)
    assert straight.status_code == 200, straight.text
    taken = http.post("/v1/images/edits", data={**fields, "async": "true"}, files=files)
    assert taken.status_code == 202 and taken.json()["kind"] == "image_edit"
    done = wait_for(http, taken.json()["id"], "completed")
    assert picture(http, done["result"]) == picture(http, straight.json())
    inputs = gateway.folder / "runtime" / "images" / "inputs"
    until(lambda: not [path for path in inputs.rglob("*") if path.is_file()])


def test_a_variation_is_an_edit_too(http: httpx.Client) -> None:
    files = {"image": ("a.png", file_of(noise_picture(64, 64)).read())}
    taken = http.post("/v1/images/variations", data={"num_inference_steps": "2", "async": "true"}, files=files)
    assert taken.status_code == 202
    assert wait_for(http, taken.json()["id"], "completed")["kind"] == "image_edit"


def test_events_tell_the_whole_story(http: httpx.Client, gateway: RunningGateway) -> None:
    gateway.backend.step_seconds = 0.02
    job_id = submit(http, num_inference_steps=20, partial_images=2, seed=3)
    told = list(events(http, job_id, after=0))
    assert told[0].kind == "job.state" and told[0].id == 1
    assert told[-1].kind == "job.completed" and told[-1].data == {**job(http, job_id), "type": "job.completed"}
    numbers = [event.id for event in told if event.id is not None]
    assert numbers == list(range(1, len(numbers) + 1))
    shares = [event.data["progress"] for event in told if event.kind == "job.progress"]
    assert shares and shares == sorted(shares) and shares[0] > 0 and shares[-1] <= 1
    stages = [event.data["stage"] for event in told if event.kind == "job.stage"]
    assert stages[-2:] == ["denoise", "store"]
    previews = [event.data for event in told if event.kind == "job.preview"]
    assert [preview["partial_image_index"] for preview in previews] == [0, 1]
    shown = [http.get(preview["url"]).content for preview in previews]
    final = picture(http, told[-1].data["result"])
    assert len({*shown, final}) == 3
    assert all(Image.open(io.BytesIO(data)).size == (128, 128) for data in shown)


def test_listeners_that_come_late_or_again(http: httpx.Client) -> None:
    job_id = submit(http, num_inference_steps=4)
    ended = wait_for(http, job_id, "completed")
    late = list(events(http, job_id))
    assert [event.kind for event in late] == ["job.completed"] and late[0].data["result"] == ended["result"]
    last = late[0].id
    assert last is not None
    everything = list(events(http, job_id, after=0))
    assert [event.id for event in everything] == list(range(1, last + 1))
    assert everything[-1].kind == "job.completed"
    assert [event.id for event in events(http, job_id, after=last - 2)] == [last - 1, last]
    over = http.get(f"/v1/jobs/{job_id}/events", headers={"last-event-id": str(last)})
    assert over.status_code == 204, "tells a browser to stop asking"
    for strange in ("999999", "-1", "x", "²"):
        again = http.get(f"/v1/jobs/{job_id}/events", headers={"last-event-id": strange.encode()})
        assert again.text.startswith(f"id: {last}\nevent: job.completed")


def test_cancelling_ends_that_job_alone(http: httpx.Client, gateway: RunningGateway) -> None:
    gateway.backend.step_seconds = 0.1
    jobs = [submit(http, num_inference_steps=150, seed=seed) for seed in range(6)]
    until(lambda: gateway.backend.running == 4)
    waiting = job(http, jobs[5])
    assert waiting["status"] == "queued" and waiting["queue_position"] == 2
    for cancelled in (jobs[1], jobs[4]):
        assert http.delete(f"/v1/jobs/{cancelled}").json()["status"] == "cancelled"
    # Its place is free, and taken by the next one that waits.
    until(lambda: len(gateway.backend.jobs) == 5)
    assert gateway.backend.running == 4 and gateway.backend.cancelled == 1
    assert http.delete(f"/v1/jobs/{jobs[1]}").json()["status"] == "cancelled", "again"
    assert [event.kind for event in events(http, jobs[1])] == ["job.cancelled"]
    gateway.backend.step_seconds = 0.0
    for other in (jobs[0], jobs[2], jobs[3], jobs[5]):
        assert wait_for(http, other, "completed", "failed")["status"] == "completed"
    # What has ended stays as it is.
    kept = http.delete(f"/v1/jobs/{jobs[0]}").json()
    assert kept["status"] == "completed" and picture(http, kept["result"])
    assert sorted(each.seeds[0] for each in gateway.backend.jobs) == [0, 1, 2, 3, 5]


def test_a_failure_is_told_as_the_route_would(http: httpx.Client) -> None:
    body = {"prompt": "a <lora:nonesuch:1>", "num_inference_steps": 1}
    straight = http.post("/v1/images/generations", json=body).json()["error"]
    failed = wait_for(http, submit(http, **body), "failed")
    assert failed["error"] == straight and straight["param"] == "lora" and "result" not in failed
    assert [event.kind for event in events(http, failed["id"])] == ["job.failed"]


def test_a_defect_shows_nothing_of_the_inside(http: httpx.Client, gateway: RunningGateway) -> None:
    gateway.backend.fail_decode = RuntimeError("secret inside")
    failed = wait_for(http, submit(http, num_inference_steps=1), "failed")
    assert failed["error"]["code"] == "internal_error" and "secret" not in str(failed)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "b64_json"}, "response_format"),
        ({"stream": True}, "stream"),
        ({"async": "yes"}, "async"),
        ({"scheduler": "magic"}, "scheduler"),
    ],
)
def test_mistakes_are_told_before_there_is_a_job(http: httpx.Client, fields: dict[str, object], param: str) -> None:
    before = http.get("/v1/jobs").json()["data"]
    answer = http.post("/v1/images/generations", json={"prompt": "a", "async": True, **fields})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == param
    assert http.get("/v1/jobs").json()["data"] == before


@pytest.mark.parametrize("path", ["", "/events"])
def test_unknown_jobs(http: httpx.Client, path: str) -> None:
    answer = http.get(f"/v1/jobs/job_nonesuch{path}")
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "job_not_found"
    assert http.delete("/v1/jobs/job_nonesuch").status_code == 404
    assert http.get("/v1/jobs", params={"after": "job_nonesuch"}).status_code == 404


def test_lists_come_in_pages(http: httpx.Client) -> None:
    made = [submit(http, num_inference_steps=1) for _ in range(3)]
    for each in made:
        wait_for(http, each, "completed")
    first = http.get("/v1/jobs", params={"limit": 2}).json()
    assert [each["id"] for each in first["data"]] == made[:0:-1] and first["has_more"]
    rest = http.get("/v1/jobs", params={"after": made[1], "limit": 1, "status": "completed"}).json()
    assert rest["data"][0]["id"] == made[0] and "result" not in rest["data"][0]
    for wrong in ({"limit": 0}, {"limit": 101}, {"status": "asleep"}):
        answer = http.get("/v1/jobs", params=wrong)
        assert answer.status_code == 400 and answer.json()["error"]["param"] == next(iter(wrong))


def test_metrics_count_jobs(http: httpx.Client) -> None:
    wait_for(http, submit(http, num_inference_steps=1), "completed")
    page = http.get("/metrics").text
    assert 'triptych_jobs_ended_total{kind="image_generation",status="completed"}' in page
    assert 'triptych_jobs{status="queued"}' in page
