"""Try-on through the official client and real Triton: the embedded models, every form of the answer."""

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from tests.e2e.fitting import EXACT, GARMENT, MODEL, PERSON, file_of, intermediate
from tests.gateway.api.studio import png
from tests.gateway.jobs.client import picture, wait_for
from tests.gateway.pictures import pixels_of
from tests.support.stack import RunningStack


@pytest.fixture(scope="module")
def http(stack: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def fast(client: openai.OpenAI) -> dict[str, Any]:
    """With its mask."""
    body = {**EXACT, "response_format": "b64_json", "returnMask": True}
    answer: Any = client.post("/tryon-fast", body=body, cast_to=object)
    return dict(answer)


def test_the_person_is_dressed_and_nothing_else_changes(fast: dict[str, Any]) -> None:
    after = pixels_of(fast["data"][0]["b64_json"])
    mask = intermediate(fast, "mask")[..., 0] > 127
    assert after.shape == PERSON.shape
    assert 0.02 < mask.mean() < 0.7
    assert np.array_equal(after[~mask], PERSON[~mask])
    assert (after[mask] != PERSON[mask]).any()


def test_a_form_with_files_gives_the_same_bytes(http: httpx.Client, fast: dict[str, Any]) -> None:
    files = [("human_image", ("a.png", png(PERSON))), ("cloth_image", ("b.png", png(GARMENT)))]
    form = {"seed": "5", "deterministic": "true", "return_base64": "true"}
    answer = http.post("/v1/tryon-fast", data=form, files=files).raise_for_status().json()
    assert file_of(answer) == file_of(fast)


def test_a_job_gives_the_same_bytes(http: httpx.Client, fast: dict[str, Any]) -> None:
    taken = http.post("/v1/tryon-fast", json={**EXACT, "async": True})
    assert taken.status_code == 202, taken.text
    job = wait_for(http, taken.json()["id"], "completed", "failed", seconds=120)
    assert job["status"] == "completed", job
    assert picture(http, job["result"]) == file_of(fast)


def test_an_edit_of_the_official_client_gives_the_same_picture(client: openai.OpenAI, fast: dict[str, Any]) -> None:
    answer = client.images.edit(
        model=MODEL,
        image=[("person.png", png(PERSON)), ("garment.png", png(GARMENT))],
        prompt="",
        response_format="b64_json",
        extra_body={"seed": 5, "deterministic": True},
    )
    assert answer.data is not None
    (image,) = answer.data
    assert np.array_equal(pixels_of(image.b64_json), pixels_of(fast["data"][0]["b64_json"]))


def test_premium_streams_to_scores(http: httpx.Client) -> None:
    answer = http.post("/v1/tryon-premium", json={**EXACT, "candidates": 2, "refine": False, "stream": True})
    assert answer.status_code == 200, answer.text
    assert "event: tryon.stage" in answer.text
    last = answer.text.strip().split("\n\n")[-1]
    assert last.startswith("event: tryon.completed")
    assert '"score":' in last
