"""What becomes of jobs when gateways stop, share a database, or lose what they stand on."""

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from gateway.app import begin_drain, begin_leaving
from gateway.domain.errors import BackendUnavailable
from gateway.store.database import Database, database_url
from gateway.store.job_leases import JobLeases
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.jobs.client import events, job, picture, submit, until, wait_for
from tests.gateway.jobs.process import gateway_process
from tests.gateway.pictures import file_of, noise_picture
from tests.gateway.server import RunningGateway, serve

SEVERAL = {"prompt": "a hat", "seed": 9, "deterministic": True, "num_inference_steps": 8}


def client(gateway: RunningGateway) -> httpx.Client:
    return httpx.Client(base_url=gateway.url, timeout=20)


def test_a_gateway_that_stops_leaves_its_jobs_to_the_next(folder: Path) -> None:
    """One job under way with a picture of its own, one that waits: both are done after the restart, from the start."""
    edit = {"prompt": "a hat", "seed": "4", "num_inference_steps": "20", "deterministic": "true", "async": "true"}
    image = file_of(noise_picture(64, 64)).read()
    slow = FakeBackend(step_seconds=0.2)
    with serve(folder, {"jobs.max_active": 1, "server.drain_seconds": 0}, slow) as gateway, client(gateway) as http:
        first = http.post("/v1/images/edits", data=edit, files={"image": ("a.png", image)}).json()["id"]
        second = submit(http, **SEVERAL)
        until(lambda: slow.steps_done > 2)
        told = job(http, first)
        assert told["status"] == "generating" and job(http, second)["queue_position"] == 1
    with serve(folder, None, FakeBackend()) as gateway, client(gateway) as http:
        done = [wait_for(http, each, "completed") for each in (first, second)]
        straight = http.post("/v1/images/generations", json=SEVERAL).json()
        again = http.post("/v1/images/edits", data={**edit, "async": "false"}, files={"image": ("a.png", image)})
        # Links of before the restart hold: the secret that signs them is kept.
        assert picture(http, _here(done[0]["result"], gateway.url)) == picture(http, again.json())
        assert picture(http, _here(done[1]["result"], gateway.url)) == picture(http, straight)
        statuses = [each.data["status"] for each in events(http, first, after=0) if each.kind == "job.state"]
        assert statuses == ["queued", "generating", "queued", "generating"], "its listeners hear of the new beginning"


def _here(result: dict, url: str) -> dict:
    """Links hold the address that the job was handed in at; tests move to another port."""
    moved = [{**each, "url": url + "/files/" + each["url"].split("/files/")[1]} for each in result["data"]]
    return {**result, "data": moved}


def test_a_gateway_that_is_killed_does_its_jobs_when_it_is_back(folder: Path) -> None:
    """A real process and a real kill -9: nothing of it had a chance to put anything in order."""
    with gateway_process(folder, step_seconds=0.2) as (process, url), httpx.Client(base_url=url, timeout=20) as http:
        jobs = [submit(http, **SEVERAL, n=2), submit(http, **{**SEVERAL, "seed": 30})]
        until(lambda: job(http, jobs[0])["progress"] > 0)
        process.kill()
        process.wait()
    with gateway_process(folder, step_seconds=0.0) as (process, url), httpx.Client(base_url=url, timeout=20) as http:
        for job_id, fields in zip(jobs, ({"n": 2}, {"seed": 30}), strict=True):
            done = wait_for(http, job_id, "completed")
            straight = http.post("/v1/images/generations", json={**SEVERAL, **fields}).json()
            for place in range(len(straight["data"])):
                assert picture(http, _here(done["result"], url), place) == picture(http, straight, place)
        told = [each.data["status"] for each in events(http, jobs[0], after=0) if each.kind == "job.state"]
        assert told == ["queued", "generating", "generating"], "begun anew when its lease had run out"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_gateways_on_one_database_answer_for_each_other(
    folder: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = None if kind == "sqlite" else request.getfixturevalue("postgresql")
    backends = [FakeBackend(step_seconds=0.3) for _ in range(2)]
    with ExitStack() as stack:
        gateways = [stack.enter_context(serve(folder, {"storage.database_url": url}, backend)) for backend in backends]
        callers = [stack.enter_context(client(gateway)) for gateway in gateways]
        job_id = submit(callers[0], num_inference_steps=150)
        until(lambda: sum(backend.running for backend in backends) == 1)
        doing, other = (0, 1) if backends[0].running else (1, 0)
        listening = events(callers[other], job_id)
        assert next(listening).data["status"] == "generating"
        assert next(event for event in listening if event.kind == "job.progress").data["progress"] > 0
        assert callers[other].delete(f"/v1/jobs/{job_id}").json()["status"] == "cancelled"
        assert list(listening)[-1].kind == "job.cancelled"
        until(lambda: backends[doing].running == 0)
        assert backends[doing].steps_done < 150 and not backends[other].jobs
        assert [job(caller, job_id)["status"] for caller in callers] == ["cancelled"] * 2


def test_a_gateway_that_vanished_is_replaced(folder: Path) -> None:
    """It took a job and says no more, as one that was killed. Its lease runs out, and the job is begun anew."""
    backend = FakeBackend(step_seconds=0.2)
    with serve(folder, {"jobs.max_active": 1}, backend) as gateway, client(gateway) as http:
        in_its_way = submit(http, num_inference_steps=150)
        until(lambda: backend.running == 1)
        job_id = submit(http, **SEVERAL)
        assert asyncio.run(_take_and_vanish(folder)) == job_id
        assert job(http, job_id)["status"] == "generating"
        backend.step_seconds = 0.0
        http.delete(f"/v1/jobs/{in_its_way}")
        done = wait_for(http, job_id, "completed")
        straight = http.post("/v1/images/generations", json=SEVERAL).json()
        assert picture(http, done["result"]) == picture(http, straight)


async def _take_and_vanish(folder: Path) -> str:
    database = Database(database_url(None, folder / "runtime" / "triptych.db"))
    claimed = await JobLeases(database, ["image_generation"]).claim(time.time() + 1.5, time.time())
    await database.close()
    assert claimed is not None
    return claimed.job.id


@pytest.mark.parametrize(("most", "ends"), [(3, "completed"), (1, "failed")])
def test_a_backend_that_is_away_is_waited_for(folder: Path, most: int, ends: str) -> None:
    backend = FakeBackend(fail_denoise=BackendUnavailable("away", retry_after=1))
    with serve(folder, {"jobs.max_attempts": most}, backend) as gateway, client(gateway) as http:
        job_id = submit(http, num_inference_steps=2)
        until(lambda: len(backend.jobs) == 1)
        if ends == "completed":
            wait_for(http, job_id, "queued")
            backend.fail_denoise = None
        told = wait_for(http, job_id, ends)
        assert len(backend.jobs) == (2 if ends == "completed" else 1)
        assert ("error" in told) == (ends == "failed")


def test_a_backend_that_starts_costs_no_attempt(folder: Path) -> None:
    """After a restart of everything jobs are there before the models are."""
    backend = FakeBackend(fail_denoise=BackendUnavailable("starting", retry_after=1), is_ready=False)
    with serve(folder, {"jobs.max_attempts": 1}, backend) as gateway, client(gateway) as http:
        job_id = submit(http, num_inference_steps=2)
        until(lambda: len(backend.jobs) == 2)
        backend.fail_denoise = None
        wait_for(http, job_id, "completed")


def test_a_full_queue_is_a_429(folder: Path) -> None:
    backend = FakeBackend(step_seconds=0.2)
    limits = {"jobs.max_active": 1, "jobs.max_queued": 2, "server.drain_seconds": 0}
    with serve(folder, limits, backend) as gateway, client(gateway) as http:
        submit(http, num_inference_steps=150)
        until(lambda: backend.running == 1)
        waiting = [submit(http, num_inference_steps=1) for _ in range(2)]
        image = ("a.png", file_of(noise_picture(64, 64)).read())
        refused = http.post("/v1/images/edits", data={"prompt": "a", "async": "true"}, files={"image": image})
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["code"] == "queue_full"
        assert not list((folder / "runtime" / "images").rglob("inputs/*/*")), "its picture is not kept"
        # Requests that are waited for have a queue of their own.
        straight = http.post("/v1/images/generations", json={"prompt": "a", "num_inference_steps": 1})
        assert straight.status_code == 200
        http.delete(f"/v1/jobs/{waiting[0]}")
        assert submit(http, num_inference_steps=1)


def test_results_are_gone_after_their_time(folder: Path) -> None:
    with serve(folder, {"jobs.result_ttl_seconds": 5}) as gateway, client(gateway) as http:
        done = wait_for(http, submit(http, num_inference_steps=1), "completed")
        url = done["result"]["data"][0]["url"]

        def expired() -> bool:
            return http.get(f"/v1/jobs/{done['id']}").status_code == 410

        until(expired)
        for path in ("", "/events"):
            answer = http.get(f"/v1/jobs/{done['id']}{path}")
            assert answer.status_code == 410 and answer.json()["error"]["code"] == "job_expired"
        assert http.delete(f"/v1/jobs/{done['id']}").status_code == 410
        until(lambda: http.get(url).status_code == 410)
        assert http.get("/v1/jobs").json()["data"] == []


def test_jobs_are_listed_to_this_machine_alone(folder: Path) -> None:
    with serve(folder, {"server.public_url": "https://here.example"}) as gateway, client(gateway) as http:
        refused = http.get("/v1/jobs")
        assert refused.status_code == 403 and refused.json()["error"]["code"] == "listing_refused"
        taken = http.post("/v1/images/generations", json={"prompt": "a", "async": True, "num_inference_steps": 1})
        assert taken.json()["poll_url"].startswith("https://here.example/v1/jobs/")
        assert job(http, taken.json()["id"])


def test_a_gateway_that_drains_takes_no_jobs(folder: Path) -> None:
    with serve(folder) as gateway, client(gateway) as http:
        begin_drain(gateway.app)
        answer = http.post("/v1/images/generations", json={"prompt": "a", "async": True})
        assert answer.status_code == 503 and answer.json()["error"]["code"] == "shutting_down"


def test_stores_that_are_away_are_a_503(folder: Path) -> None:
    with serve(folder) as gateway, client(gateway) as http:
        job_id = submit(http, num_inference_steps=1)
        wait_for(http, job_id, "completed")
        images = folder / "runtime" / "images"
        images.rename(folder / "moved")
        images.write_text("no folder")
        try:
            image = ("a.png", file_of(noise_picture(64, 64)).read())
            for answer in (
                http.post("/v1/images/edits", data={"prompt": "a", "async": "true"}, files={"image": image}),
                http.post("/v1/images/generations", json={"prompt": "a", "num_inference_steps": 1}),
            ):
                assert answer.status_code == 503 and answer.json()["error"]["code"] == "store_unavailable"
                assert answer.headers["retry-after"]
            assert len(http.get("/v1/jobs").json()["data"]) == 1, "no job without its picture"
        finally:
            images.unlink()
            (folder / "moved").rename(images)
        assert wait_for(http, submit(http, num_inference_steps=1), "completed")


def test_listeners_of_jobs_that_wait_are_let_go(folder: Path) -> None:
    """A browser's stream would hold up the end of the gateway, which begins no more jobs anyway."""
    backend = FakeBackend(step_seconds=0.3)
    with (
        serve(folder, {"jobs.max_active": 1, "server.drain_seconds": 0}, backend) as gateway,
        client(gateway) as http,
    ):
        submit(http, num_inference_steps=150)
        until(lambda: backend.running == 1)
        waiting = submit(http, num_inference_steps=1)
        listening = events(http, waiting)
        assert next(listening).data["queue_position"] == 1
        begin_leaving(gateway.app)
        assert [event.kind for event in listening] == []
        assert job(http, waiting)["status"] == "queued" and len(backend.jobs) == 1
