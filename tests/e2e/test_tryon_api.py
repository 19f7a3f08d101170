"""Try-on through the official client and real Triton: the embedded models, every form of the answer."""

import base64
import io
import time
from itertools import islice
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from tests.support.stack import RunningStack
from wardrobe.world.pairs import tryon_pairs
from wardrobe.world.render import FLAT_LAY_BACKGROUND, flat_lay, render

PAIR = next(islice(tryon_pairs(3, held_out=True), 1))


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


PERSON, GARMENT = render(PAIR.before).image, flat_lay(PAIR.garment)
EXACT = {"model_image": uri(png(PERSON)), "garment_image": uri(png(GARMENT)), "seed": 5, "deterministic": True}


@pytest.fixture(scope="module")
def http(stack: RunningStack) -> httpx.Client:
    return httpx.Client(base_url=stack.url, timeout=300)


@pytest.fixture(scope="module")
def fast(client: openai.OpenAI) -> dict[str, Any]:
    """With its mask."""
    body = {**EXACT, "response_format": "b64_json", "returnMask": True}
    answer: Any = client.post("/tryon-fast", body=body, cast_to=object)
    return dict(answer)


def test_the_person_is_dressed_and_nothing_else_changes(fast: dict[str, Any]) -> None:
    after = pixels_of(base64.b64decode(fast["data"][0]["b64_json"]))
    mask = pixels_of(base64.b64decode(fast["intermediates"][0]["b64_json"]))[..., 0] > 127
    assert after.shape == PERSON.shape
    assert 0.02 < mask.mean() < 0.7
    assert np.array_equal(after[~mask], PERSON[~mask])
    assert (after[mask] != PERSON[mask]).any()


def test_a_form_with_files_gives_the_same_bytes(http: httpx.Client, fast: dict[str, Any]) -> None:
    files = [("human_image", ("a.png", png(PERSON))), ("cloth_image", ("b.png", png(GARMENT)))]
    form = {"seed": "5", "deterministic": "true", "return_base64": "true"}
    answer = http.post("/v1/tryon-fast", data=form, files=files).raise_for_status().json()
    assert answer["data"][0]["b64_json"] == fast["data"][0]["b64_json"]


def test_a_job_gives_the_same_bytes(http: httpx.Client, fast: dict[str, Any]) -> None:
    taken = http.post("/v1/tryon-fast", json={**EXACT, "async": True})
    assert taken.status_code == 202
    deadline = time.monotonic() + 240
    while (job := http.get(taken.json()["poll_url"]).json())["status"] not in ("completed", "failed"):
        assert time.monotonic() < deadline, job
        time.sleep(0.2)
    assert job["status"] == "completed", job
    picture = http.get(job["result"]["data"][0]["url"]).content
    assert base64.b64encode(picture).decode() == fast["data"][0]["b64_json"]


def test_premium_streams_to_scores(http: httpx.Client) -> None:
    answer = http.post("/v1/tryon-premium", json={**EXACT, "candidates": 2, "refine": False, "stream": True})
    assert answer.status_code == 200, answer.text
    assert "event: tryon.stage" in answer.text
    last = answer.text.strip().split("\n\n")[-1]
    assert last.startswith("event: tryon.completed")
    assert '"score":' in last


def test_nobody_to_dress(http: httpx.Client) -> None:
    empty = np.full_like(PERSON, FLAT_LAY_BACKGROUND)
    for picture, garment in ((empty, GARMENT), (GARMENT, PERSON)):
        refused = http.post(
            "/v1/tryon-fast", json={"model_image": uri(png(picture)), "garment_image": uri(png(garment))}
        )
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["param"]) == (400, "PoseError", "model_image")
