"""The try-on routes over HTTP: every form of the body, every form of the answer."""

import asyncio
import base64
import io
import json
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from tests.gateway.adapters.web import body, redirect, web
from tests.gateway.api.studio import Studio, studio, uri
from tests.gateway.jobs.client import until
from tests.gateway.server import RunningGateway
from tests.gateway.unread import sent

FAST, PREMIUM = "/v1/tryon-fast", "/v1/tryon-premium"
STAGES = {"load", "garment", "parse", "crop", "mask", "generate", "restore", "encode"}


def events_of(text: str) -> list[dict[str, Any]]:
    """The data of each event; its name is its type."""
    events = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            events.append(json.loads(lines["data"]))
            assert lines["event"] == events[-1].get("type", "error")
    return events


def picture(b64: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(b64)))
    image.load()
    return image


def test_fast_through_the_official_client(client: openai.OpenAI, tryon: Studio) -> None:
    answer: Any = client.post("/tryon-fast", body={**tryon.request, "response_format": "b64_json"}, cast_to=object)
    (image,) = answer["data"]
    assert picture(image["b64_json"]).size == (128, 128)
    assert (image["seed"], image["size"]) == (7, "128x128")
    assert (answer["mode"], answer["output_format"], answer["category"]) == ("fast", "png", answer["categories"][0])
    assert {timing["stage"] for timing in answer["timings"]} == STAGES
    assert answer["usage"]["total_tokens"] > 0
    assert "intermediates" not in answer
    assert "score" not in image


def test_premium_answers_the_best_with_the_scores_of_all(http: httpx.Client, tryon: Studio) -> None:
    answer = http.post(PREMIUM, json={**tryon.request, "num_samples": 2, "return_intermediates": True}).json()
    assert answer["mode"] == "premium"
    scores = [candidate["score"] for candidate in answer["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert {candidate["seed"] for candidate in answer["candidates"]} == {7, 8, 9, 10}
    assert [image["seed"] for image in answer["data"]] == [each["seed"] for each in answer["candidates"][:2]]
    for image in answer["data"]:
        assert 0 < image["score"] <= 1
        assert set(image["scores"]) == {"outside", "colour", "pattern", "parse", "identity", "pose", "agreement"}
        assert http.get(image["url"]).headers["content-type"] == "image/png"
    names = {each["name"] for each in answer["intermediates"]}
    assert {"parse", "mask", "garment"} <= names
    assert Image.open(io.BytesIO(http.get(answer["intermediates"][0]["url"]).content)).format == "PNG"


def test_a_form_is_the_same_as_json(http: httpx.Client, tryon: Studio) -> None:
    options = {"seed": "7", "response_format": "b64_json", "deterministic": "true"}
    files = [("model_image", ("a.png", tryon.person)), ("garment_image[]", ("b.png", tryon.garment))]
    form = http.post(FAST, data=options, files=files)
    json_body = {**tryon.request, "response_format": "b64_json", "deterministic": True}
    mixed = http.post(FAST, data={**options, "garment_image": uri(tryon.garment)}, files=files[:1])
    answers = [form.json(), http.post(FAST, json=json_body).json(), mixed.json()]
    assert len({answer["data"][0]["b64_json"] for answer in answers}) == 1


def test_aliases_give_the_same_picture(http: httpx.Client, tryon: Studio) -> None:
    person, garment = uri(tryon.person), base64.b64encode(tryon.garment).decode()
    bodies: list[dict[str, Any]] = [
        {"human_image": person, "cloth_image": garment, "return_base64": True},
        {"sourceImage": person, "referenceImage": garment, "maskType": "GARMENT", "return_base64": True},
        {
            "personImage": {"image": {"bytesBase64Encoded": person}},
            "productImages": [{"image": {"bytesBase64Encoded": garment}}],
            "outputOptions": {"mimeType": "image/png"},
            "response_format": "b64_json",
        },
    ]
    answers = [http.post(FAST, json={**fields, "seed": 7}).json() for fields in bodies]
    assert len({answer["data"][0]["b64_json"] for answer in answers}) == 1


def test_formats_and_novas_mask(http: httpx.Client, tryon: Studio) -> None:
    options = {"output_format": "jpeg", "output_compression": 80, "return_base64": True, "returnMask": True}
    answer = http.post(FAST, json={**tryon.request, **options}).json()
    assert picture(answer["data"][0]["b64_json"]).format == "JPEG"
    assert [each["name"] for each in answer["intermediates"]] == ["mask"]
    # Sent back, it is the mask that the server would have worked out.
    mask = answer["intermediates"][0]["b64_json"]
    plain = {**tryon.request, "return_base64": True}
    drawn = [http.post(FAST, json={**plain, **extra}).json() for extra in ({}, {"mask": mask})]
    assert drawn[0]["data"][0]["b64_json"] == drawn[1]["data"][0]["b64_json"]
    black = http.post(FAST, json={**plain, "mask": mask, "mask_polarity": "black"}).json()
    assert black["data"][0]["b64_json"] != drawn[0]["data"][0]["b64_json"]


def test_what_has_no_effect_is_a_warning(http: httpx.Client, tryon: Studio) -> None:
    exclusions = {"preserveFace": "OFF", "preserveHands": "ON", "preserveBodyPose": "DEFAULT"}
    answer = http.post(FAST, json={**tryon.request, "maskExclusions": exclusions}).json()
    assert any("preserveFace" in warning for warning in answer["warnings"])


@pytest.mark.parametrize(("route", "stages"), [(FAST, STAGES), (PREMIUM, STAGES | {"score"})])
def test_a_stream_tells_every_stage(http: httpx.Client, tryon: Studio, route: str, stages: set[str]) -> None:
    answer = http.post(route, json={**tryon.request, "stream": True, "partial_images": 2})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    told = [event for event in events if event["type"] == "tryon.stage"]
    assert {event["stage"] for event in told} == stages
    assert [event["status"] for event in told] == ["began", "ended"] * len(stages)
    assert [event["stage"] for event in told[::2]] == [event["stage"] for event in told[1::2]]
    assert (told[0]["stage"], told[-1]["stage"]) == ("load", "encode")
    assert all(event["seconds"] >= 0 for event in told if event["status"] == "ended")
    shares = [event["progress"] for event in events if "progress" in event]
    assert shares == sorted(shares)
    partials = [event for event in events if event["type"] == "tryon.partial_image"]
    assert {event["partial_image_index"] for event in partials} == {0, 1}
    assert picture(partials[0]["b64_json"]).size == (128, 128)
    assert events[-1]["type"] == "tryon.completed"
    assert events[-1]["data"][0]["url"]
    assert [event["type"] for event in events].count("tryon.completed") == 1


def test_a_failure_under_way_is_an_error_event(http: httpx.Client, tryon: Studio) -> None:
    tryon.world.drawer.fail = RuntimeError("broken inside")
    answer = http.post(FAST, json={**tryon.request, "stream": True})
    assert answer.status_code == 200
    last = events_of(answer.text)[-1]
    assert last["error"]["code"] == "PipelineError"
    assert "broken inside" not in answer.text


def test_links_are_fetched(tmp_path: Path) -> None:
    """Redirected once; of a host that this server trusts, and of one that it does not."""

    async def play() -> tuple[httpx.Response, httpx.Response]:
        async with web() as site:
            with studio(tmp_path, **{"fetch.trusted_hosts": (f"127.0.0.1:{site.port}",)}) as running:
                site.answers["/person"] = redirect("/person.png")
                site.answers["/person.png"] = body(running.person)
                site.answers["/garment.png"] = body(running.garment)
                async with httpx.AsyncClient(base_url=running.gateway.url, timeout=60) as http:
                    links = {"model_image": site.url("/person"), "garment_image": [site.url("/garment.png")]}
                    fetched = await http.post(FAST, json={**links, "seed": 7, "return_base64": True})
                    told = {**running.request, "return_base64": True}
                    sent = await http.post(FAST, json=told)
        return fetched, sent

    fetched, sent = asyncio.run(play())
    assert fetched.status_code == 200, fetched.text
    assert fetched.json()["data"][0]["b64_json"] == sent.json()["data"][0]["b64_json"]


def test_a_job_is_queued(http: httpx.Client, tryon: Studio) -> None:
    answer = http.post(PREMIUM, json={**tryon.request, "async": True})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["kind"], answer.headers["location"]) == ("tryon_premium", job["poll_url"])
    assert http.get(job["poll_url"]).json()["id"] == job["id"]


def test_hanging_up_ends_the_work(tryon: Studio) -> None:
    drawer = tryon.world.drawer
    drawer.step_seconds = 5.0
    for extra in ({}, {"stream": True}):
        before = (len(drawer.drawings), drawer.cancelled)
        connection = sent(tryon.gateway.url + FAST, {**tryon.request, **extra})
        until(lambda: drawer.running == 1)
        connection.close()
        deadline = time.monotonic() + 20
        while (len(drawer.drawings), drawer.cancelled) != (before[0] + 1, before[1] + 1) or drawer.running:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_server_without_the_models_says_so(shared_gateway: RunningGateway, tryon: Studio) -> None:
    with httpx.Client(base_url=shared_gateway.url, timeout=60) as http:
        answer = http.post(FAST, json=tryon.request)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
