"""Every mistake on the try-on routes of the whole stack: a 4xx by its name, as a job too, and nothing is left of it."""

from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest
from PIL import Image

from gateway.domain.jobs import JobStatus
from tests.e2e.fitting import EXACT, file_of
from tests.gateway.api.studio import blank, png, uri
from tests.gateway.api.test_tryon_mistakes import animated, broken_jpeg, noise
from tests.gateway.jobs.client import until, wait_for
from tests.gateway.pictures import file_of as named_file
from tests.gateway.test_mistakes import error_of
from tests.support.metrics import sample
from tests.support.stack import RunningStack

ROUTE = "/v1/tryon-fast"


def huge() -> bytes:
    """More pixels than the stack reads by default, in few bytes."""
    return named_file(Image.new("1", (10_000, 5_001))).getvalue()


def field(name: str, data: Callable[[], bytes]) -> Callable[[], dict[str, object]]:
    return lambda: {name: uri(data())}


def link(name: str, url: str) -> Callable[[], dict[str, object]]:
    return lambda: {name: url}


def swapped() -> dict[str, object]:
    return {"model_image": EXACT["garment_image"], "garment_image": EXACT["model_image"]}


def worn_flat_lay() -> dict[str, object]:
    return {"garment_image": EXACT["model_image"], "garment_photo_type": "flat-lay"}


MISTAKES = {
    "nobody": (field("model_image", lambda: png(blank())), "PoseError", "model_image", "no person was found"),
    "swapped": (swapped, "PoseError", "model_image", "swapped"),
    "person-as-flat-lay": (worn_flat_lay, "InputValidationError", "garment_image", "swapped"),
    "blank-garment": (field("garment_image", lambda: png(blank())), "InputValidationError", "garment_image", "blank"),
    **{
        f"{kind}-{which}": (field(f"{which}_image", data), "ImageLoadError", f"{which}_image", says)
        for which in ("model", "garment")
        for kind, data, says in (
            ("narrow", lambda: noise(63, 128), "at least 64"),
            ("flat", lambda: noise(128, 63), "at least 64"),
            ("huge", huge, "too large"),
            ("gif", lambda: animated("GIF"), "no picture"),
            ("jpeg", broken_jpeg, "damaged"),
        )
    },
    **{
        f"link-{place}": (link("model_image", url), "ImageLoadError", "model_image", says)
        for place, url, says in (
            ("port", "http://127.0.0.1:8000/v2/models", "port 8000"),
            ("loopback", "http://127.0.0.1/", "not on the public internet"),
            ("decimal", "http://2130706433/", "not on the public internet"),
            ("metadata", "http://169.254.169.254/latest/meta-data/", "not on the public internet"),
            ("private", "http://10.0.0.1/person.png", "not on the public internet"),
        )
    },
    "link-garment": (
        link("garment_image", "https://[::ffff:169.254.169.254]/"),
        "ImageLoadError",
        "garment_image",
        "not on the public internet",
    ),
    "two-categories": (
        lambda: {"category": "tops", "garmentClass": "LONG_PANTS"},
        "InputValidationError",
        "garmentClass",
        "two category values",
    ),
    "category-list": (
        lambda: {"category": ["tops", "bottoms"]},
        "InputValidationError",
        "category",
        "two category values",
    ),
}


@pytest.fixture(scope="module")
def http(stack: RunningStack) -> Iterator[httpx.Client]:
    """To a stack that afterwards answers as it did before."""
    body = {**EXACT, "response_format": "b64_json"}
    with httpx.Client(base_url=stack.url, timeout=120) as client:
        before = file_of(client.post(ROUTE, json=body).raise_for_status().json())
        yield client
        assert file_of(client.post(ROUTE, json=body).raise_for_status().json()) == before


@pytest.mark.parametrize(("fields", "code", "param", "says"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_have_names(
    http: httpx.Client, fields: Callable[[], Mapping[str, object]], code: str, param: str, says: str
) -> None:
    body = {**EXACT, **fields()}
    answer = http.post(ROUTE, json=body)
    error = error_of(answer)
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error"), error
    assert (error["code"], error["param"]) == (code, param), error
    assert says in error["message"]

    later = http.post(ROUTE, json={**body, "async": True})
    if later.status_code == 202:
        # Only a look at the pictures tells: then it is the job that fails, in the same words.
        job = wait_for(http, later.json()["id"], *(status for status in JobStatus if status.final), seconds=60)
        assert (job["status"], job["error"]) == ("failed", error)
    else:
        assert (later.status_code, error_of(later)) == (400, error)
    nothing_is_left(http)


def test_two_category_values_under_one_name(http: httpx.Client) -> None:
    """JSON would let the last one win."""
    sent = b'{"category": "tops", "category": "bottoms"}'
    answer = http.post(ROUTE, content=sent, headers={"content-type": "application/json"})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "InputValidationError")
    assert "two category values" in error_of(answer)["message"]
    nothing_is_left(http)


def nothing_is_left(http: httpx.Client) -> None:
    for status in (status for status in JobStatus if not status.final):
        assert http.get("/v1/jobs", params={"status": status}).json()["data"] == []
    # A job is told to have ended a moment before its place is free.
    until(lambda: sample(http.get("/metrics").text, "triptych_generations_active") == 0)
