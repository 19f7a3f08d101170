"""Layers through HTTP and real Triton, with a small random layered model beside one that draws from prompts."""

import asyncio
import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from gateway.domain.jobs import JobStatus
from tests.gateway.jobs.client import events, until, wait_for
from tests.gateway.layers.separator import ROUTE, cut_out, picture, sheet, sheet_of, uri
from tests.gateway.layers.test_layers_mistakes import FIELDS, PICTURES, refused
from tests.support.metrics import sample
from tests.support.stack import RunningStack, start_stack
from tests.support.tiny_model import write_tiny_model
from tests.support.tiny_qwen_image_layered import write_tiny_qwen_image_layered

LAYERED, TEXT = "tiny-layered", "tiny-text"
EXACT = {
    "image": uri(picture(100, 70)),
    "prompt": "a red dress",
    "layers": 3,
    "seed": 5,
    "num_inference_steps": 3,
    "deterministic": True,
    "response_format": "b64_json",
}
_READY_SECONDS = 300
"""Eight processes load torch and diffusers: six seconds of a core each."""


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("layered")
    write_tiny_qwen_image_layered(folder / "models" / LAYERED)
    write_tiny_model(folder / "models" / TEXT)
    environment = {
        "TRIPTYCH_MODELS__DIRECTORIES": json.dumps([str(folder / "models")]),
        "TRIPTYCH_BACKEND__RUNTIME": "torch",
        "TRIPTYCH_BACKEND__THREADS": "1",
    }
    with start_stack(
        folder / "runtime", environment=environment, embedded=False, ready_seconds=_READY_SECONDS
    ) as running:
        yield running


@pytest.fixture(scope="module")
def http(layered: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=layered.url, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def alone(layered: RunningStack) -> dict[str, Any]:
    """By the official client, when nobody else asks."""
    with openai.OpenAI(base_url=f"{layered.url}/v1", api_key="unused", max_retries=0, timeout=120) as client:
        answer: Any = client.post("/images/layers", body=EXACT, cast_to=object)
    return dict(answer)


def test_layers_are_the_pictures_size_and_give_it_back(alone: dict[str, Any]) -> None:
    assert [layer["layer_index"] for layer in alone["data"]] == [0, 1, 2] and alone["layers"] == 3
    assert (alone["model"], alone["size"], alone["resolution"], alone["seed"]) == (LAYERED, "100x70", 64, 5)
    with Image.open(io.BytesIO(picture(100, 70))) as image:
        source = np.asarray(image.convert("RGBA"))
    for layer in alone["data"]:
        own = sheet_of(layer)
        assert own.shape == source.shape
        assert layer["bbox"] is None or min(layer["bbox"]) >= 0
    assert np.abs(sheet_of(alone["composite"]).astype(int) - source).max() <= 1
    assert alone["recomposition_psnr"] is None or alone["recomposition_psnr"] > 48


async def test_a_crowd_of_others_changes_no_byte(layered: RunningStack, alone: dict[str, Any]) -> None:
    """Other counts, sizes, guidances and seeds, pictures from prompts, and the very request, all at once."""
    others = [
        {**EXACT, "layers": count, "guidance_scale": guidance, "seed": count, "deterministic": False, "image": image}
        for count, guidance in ((2, 4.0), (3, 1.0), (3, 4.0), (5, 2.0))
        for image in (EXACT["image"], uri(cut_out(64, 128)))
    ]
    drawn = {"prompt": "a hat", "model": TEXT, "num_inference_steps": 5}
    async with httpx.AsyncClient(base_url=layered.url, timeout=300) as http:
        same, *rest = await asyncio.gather(
            http.post(ROUTE, json=EXACT),
            *(http.post(ROUTE, json=other) for other in others),
            *(http.post("/v1/images/generations", json=drawn) for _ in range(2)),
        )
    assert {answer.status_code for answer in rest} == {200}, [answer.text[:300] for answer in rest]
    assert [answer.json()["layers"] for answer in rest[:8]] == [2, 2, 3, 3, 3, 3, 5, 5]
    assert same.json()["data"] == alone["data"] and same.json()["composite"] == alone["composite"]


def test_a_form_a_job_and_a_stream_give_the_same_bytes(http: httpx.Client, alone: dict[str, Any]) -> None:
    texts = {key: str(value).lower() for key, value in EXACT.items() if key not in ("image", "prompt")}
    form = {**texts, "prompt": EXACT["prompt"]}
    sent = http.post(ROUTE, data=form, files={"image": ("picture.png", picture(100, 70))})
    assert sent.json()["data"] == alone["data"]

    streamed = http.post(ROUTE, json={**EXACT, "stream": True, "partial_images": 2})
    news = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: ")]
    partials = [event for event in news if event["type"] == "image_layers.partial_image"]
    assert [(event["partial_image_index"], event["layer_index"]) for event in partials] == [
        (order, layer) for order in (0, 1) for layer in range(3)
    ]
    assert len({event["b64_json"] for event in partials}) == len(partials), "true estimates"
    assert news[-1]["type"] == "image_layers.completed" and news[-1]["data"] == alone["data"]

    taken = http.post(ROUTE, json={**EXACT, "response_format": "url", "partial_images": 1, "async": True})
    assert (taken.status_code, taken.json()["kind"]) == (202, "image_layers"), taken.text
    job = wait_for(http, taken.json()["id"], "completed", "failed", seconds=120)
    assert job["status"] == "completed", job
    files = [http.get(layer["url"]).content for layer in job["result"]["data"]]
    assert files == [base64.b64decode(layer["b64_json"]) for layer in alone["data"]]
    previews = [event.data for event in events(http, job["id"], after=0) if event.kind == "job.preview"]
    assert [preview["image_index"] for preview in previews] == [0, 1, 2]


def test_a_file_of_all_and_layers_of_a_layer(http: httpx.Client, alone: dict[str, Any]) -> None:
    body = {**EXACT, "decompose": [0], "output": "zip", "response_format": "url"}
    answer = http.post(ROUTE, json=body).raise_for_status().json()
    names = [layer["name"] for layer in answer["data"]]
    assert names[-2:] == ["layer-2", "layer-3"] and names[0] in ("layer-1", "layer-1/1")
    assert answer["file"]["url"].split("?")[0].endswith(".zip")
    assert http.get(answer["file"]["url"]).headers["content-type"] == "application/zip"
    # What an answer gave can be sent again; it keeps inside of itself.
    top = base64.b64decode(alone["data"][2]["b64_json"])
    again = http.post(ROUTE, json={**EXACT, "image": uri(top), "layers": 2}).raise_for_status().json()
    for layer in again["data"]:
        assert (sheet_of(layer)[..., 3] <= sheet(top)[..., 3]).all()


def test_text_to_picture_to_layers(http: httpx.Client) -> None:
    body = {**EXACT, "image": None, "generate": {"num_inference_steps": 2}}
    answer = http.post(ROUTE, json=body).raise_for_status().json()
    assert (answer["source"]["model"], answer["size"]) == (TEXT, answer["source"]["size"])
    drawn = http.post(
        "/v1/images/generations",
        json={"prompt": "a red dress", "num_inference_steps": 2, "seed": 5, "response_format": "b64_json"},
    )
    assert drawn.json()["data"][0]["seed"] == answer["source"]["seed"] == 5
    shown = Image.open(io.BytesIO(base64.b64decode(answer["source"]["b64_json"]))).convert("RGBA")
    assert np.abs(sheet_of(answer["composite"]).astype(int) - np.asarray(shown)).max() <= 1


def test_a_palette_with_transparency(http: httpx.Client) -> None:
    file = io.BytesIO()
    Image.open(io.BytesIO(picture())).quantize(16).save(file, "PNG", transparency=3)
    answer = http.post(ROUTE, json={**EXACT, "image": uri(file.getvalue())}).raise_for_status().json()
    with Image.open(file) as image:
        truth = np.asarray(image.convert("RGBA"))
    assert 0 < (truth[..., 3] == 0).mean() < 1
    assert np.abs(sheet_of(answer["composite"])[..., 3].astype(int) - truth[..., 3]).max() <= 1


def test_mistakes_have_names_and_leave_nothing(http: httpx.Client, alone: dict[str, Any]) -> None:
    """All that `tests/gateway/layers/test_layers_mistakes.py` knows."""
    models = {"model-of-text": TEXT, "generate-model": LAYERED}
    for name, (fields, code, param, says) in FIELDS.items():
        body = {"image": EXACT["image"], **fields}
        if name == "model-of-text":
            body["model"], says = models[name], f"those that do: {LAYERED}"
        if name == "generate-model":
            body["generate"] = {"model": models[name]}
        if name == "resolution":
            says = "one of 64"
        refused(http.post(ROUTE, json=body), code, param, says)
    for data, code, says in PICTURES.values():
        body = {**EXACT, "image": data()}
        error = refused(http.post(ROUTE, json=body), code, "image", says)
        later = http.post(ROUTE, json={**body, "response_format": "url", "async": True})
        job = wait_for(http, later.json()["id"], *(status for status in JobStatus if status.final), seconds=60)
        assert (job["status"], job["error"]) == ("failed", error)
    drawn = http.post("/v1/images/generations", json={"prompt": "a hat", "model": LAYERED})
    refused(drawn, "model_needs_pictures", "model", ROUTE)
    until(lambda: sample(http.get("/metrics").text, "triptych_generations_active") == 0)
    assert http.post(ROUTE, json=EXACT).json()["data"] == alone["data"]


def test_a_cancelled_job_and_a_client_that_leaves(http: httpx.Client) -> None:
    long = {**EXACT, "num_inference_steps": 150, "response_format": "url"}
    for _ in range(5):  # a tiny model's job may have ended before it is cancelled
        taken = http.post(ROUTE, json={**long, "async": True}).json()
        wait_for(http, taken["id"], "generating", "completed")
        if http.delete(f"/v1/jobs/{taken['id']}").json()["status"] == "cancelled":
            break
    else:
        pytest.fail("no job was cancelled")
    with http.stream("POST", ROUTE, json={**long, "stream": True}) as answer:
        assert answer.status_code == 200
    until(lambda: sample(http.get("/metrics").text, "triptych_generations_active") == 0)
