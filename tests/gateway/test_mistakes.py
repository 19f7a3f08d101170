"""Every mistake a caller can make ends in OpenAI's envelope with the right status, never in a 500."""

import json
from collections.abc import Iterator

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from families.schedulers import SchedulerName
from gateway.api.generation_request import ImageGenerationRequest
from tests.gateway.server import RunningGateway

ROUTE = "/v1/images/generations"
GOOD = {"prompt": "a red dress", "num_inference_steps": 1}


def error_of(answer: httpx.Response) -> dict[str, str]:
    body = answer.json()
    assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "code", "param"}
    assert answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    error: dict[str, str] = body["error"]
    return error


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"prompt": ""}, "prompt", "must not be empty"),
        ({"prompt": " \n\t"}, "prompt", "must not be empty"),
        ({"prompt": "x" * 100_000}, "prompt", "at most 32000 characters"),
        ({"prompt": 5}, "prompt", "must be a string"),
        ({"prompt": None}, "prompt", "must be a string"),
        ({"n": 0}, "n", "1 to 10"),
        ({"n": 11}, "n", "1 to 10"),
        ({"n": "5"}, "n", "must be an integer; allowed: 1 to 10"),
        ({"n": True}, "n", "must be an integer"),
        ({"n": 1.5}, "n", "must be an integer"),
        ({"num_inference_steps": 0}, "num_inference_steps", "1 to 150"),
        ({"num_inference_steps": 151}, "num_inference_steps", "1 to 150"),
        ({"num_inference_steps": 10**30}, "num_inference_steps", "1 to 150"),
        ({"guidance_scale": -0.1}, "guidance_scale", "0 to 20"),
        ({"guidance_scale": 20.5}, "guidance_scale", "0 to 20"),
        ({"guidance_scale": "7"}, "guidance_scale", "must be a number"),
        ({"guidance_scale": True}, "guidance_scale", "must be a number"),
        ({"seed": -1}, "seed", "0 to 9007199254740991"),
        ({"seed": 2**53}, "seed", "0 to 9007199254740991"),
        ({"size": "100x128"}, "size", "multiple of 8 from 64"),
        ({"size": "128"}, "size", "e.g. '128x128'"),
        ({"size": "128x8"}, "size", "from 64"),
        ({"size": "99999x128"}, "size", "WIDTHxHEIGHT"),
        ({"size": "-128x128"}, "size", "WIDTHxHEIGHT"),
        ({"size": "\u0661\u0662\u0668x128"}, "size", "WIDTHxHEIGHT"),
        ({"size": 128}, "size", "must be a string"),
        ({"scheduler": "magic"}, "scheduler", ", ".join(list(SchedulerName)[:-1])),
        ({"scheduler": "flow_match_euler"}, "scheduler", "for this model"),
        ({"colour": "red"}, "colour", "unknown field 'colour'"),
        ({"quality": "best"}, "quality", "'low', 'medium', 'high'"),
        ({"style": "cubist"}, "style", "'vivid' or 'natural'"),
        ({"response_format": "file"}, "response_format", "'url' or 'b64_json'"),
        ({"output_format": "gif"}, "output_format", "'png', 'jpeg' or 'webp'"),
        ({"output_compression": 101, "output_format": "jpeg"}, "output_compression", "0 to 100"),
        ({"output_compression": 50}, "output_compression", "not to png"),
        ({"output_compression": 50, "output_format": "png"}, "output_compression", "not to png"),
        ({"background": "transparent"}, "background", "no alpha"),
        ({"moderation": "off"}, "moderation", "'low' or 'auto'"),
        ({"partial_images": 2}, "partial_images", "needs 'stream'"),
        ({"partial_images": 4, "stream": True}, "partial_images", "0 to 3"),
        ({"stream": "yes"}, "stream", "true or false"),
        ({"stream": 1}, "stream", "true or false"),
        ({"deterministic": "no"}, "deterministic", "true or false"),
        ({"user": "x" * 600}, "user", "at most 512"),
        ({"negative_prompt": ["a"]}, "negative_prompt", "must be a string"),
        ({"model": 7}, "model", "must be a string"),
    ],
)
def test_a_field_that_does_not_fit(http: httpx.Client, fields: dict[str, object], param: str, says: str) -> None:
    answer = http.post(ROUTE, json={**GOOD, **fields})
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert says in error["message"] and f"'{param}'" in error["message"]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(http: httpx.Client, literal: str) -> None:
    for field in ("guidance_scale", "num_inference_steps", "n", "seed"):
        body = f'{{"prompt": "a", "{field}": {literal}}}'
        answer = http.post(ROUTE, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400
        assert error_of(answer)["param"] == field


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"prompt": "a"',
        b'{"prompt": "\xff"}',
        b"\x80\x81",
        b"[]",
        b'"a"',
        b"5",
        b"null",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"prompt": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"prompt": "\\ud800"}',
        b'{"prompt": "a", "n": ' + b"9" * 10_000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_no_request(http: httpx.Client, body: bytes) -> None:
    answer = http.post(ROUTE, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert error_of(answer)["type"] == "invalid_request_error"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "garbage", ""])
def test_a_content_type_that_is_not_json(http: httpx.Client, content_type: str) -> None:
    answer = http.post(ROUTE, content=json.dumps(GOOD), headers={"content-type": content_type} if content_type else {})
    assert answer.status_code == 415
    assert "application/json" in error_of(answer)["message"]


def test_json_with_a_charset_is_json(http: httpx.Client) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    assert http.post(ROUTE, content=json.dumps(GOOD), headers=headers).status_code == 200


def test_a_body_over_the_limit(http: httpx.Client) -> None:
    body = json.dumps({**GOOD, "user": "x" * 5_000_000}).encode()
    headers = {"content-type": "application/json"}
    declared = http.post(ROUTE, content=body, headers=headers)

    def chunks() -> Iterator[bytes]:
        yield from (body[start : start + 65536] for start in range(0, len(body), 65536))

    found_out = http.post(ROUTE, content=chunks(), headers=headers)
    for answer in (declared, found_out):
        assert answer.status_code == 413
        assert error_of(answer)["code"] == "request_too_large"


def test_unknown_routes_methods_and_models(http: httpx.Client, client: openai.OpenAI) -> None:
    missing = http.get("/v1/nothing")
    assert missing.status_code == 404 and error_of(missing)["code"] == "route_not_found"
    wrong = http.get(ROUTE)
    assert wrong.status_code == 405 and error_of(wrong)["code"] == "method_not_allowed"
    assert wrong.headers["allow"] == "POST"
    with pytest.raises(openai.NotFoundError) as caught:
        client.images.generate(prompt="a", model="dall-e-3")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "wardrobe" in caught.value.message


def test_request_ids_come_back_or_are_made(http: httpx.Client) -> None:
    assert http.get("/livez", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    for hostile in ("x" * 200, "a b", "é".encode("latin-1")):
        made = http.get("/livez", headers={"x-request-id": hostile}).headers["x-request-id"]
        assert made.startswith("req_")
    assert http.get("/livez").headers["server-timing"].startswith("total;dur=")


def test_a_defect_shows_a_request_id_and_nothing_else(
    http: httpx.Client, gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.backend.fail_decode = RuntimeError("secret path /root/weights")
    answer = http.post(ROUTE, json=GOOD, headers={"x-request-id": "find-me"})
    assert answer.status_code == 500
    error = error_of(answer)
    assert error["type"] == "server_error" and "find-me" in error["message"]
    assert "secret" not in answer.text
    assert "secret path" in caplog.text


def test_a_defect_in_a_stream_is_an_error_event(client: openai.OpenAI, gateway: RunningGateway) -> None:
    gateway.backend.fail_decode = RuntimeError("secret")
    stream = client.images.generate(prompt="a", stream=True)
    with pytest.raises(openai.APIError, match="request id") as caught:
        list(stream)
    assert "secret" not in str(caught.value)


_FIELDS = list(ImageGenerationRequest.model_fields)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(st.sampled_from([*_FIELDS, "other"]), _VALUES, max_size=5))
def test_no_body_whatever_is_a_server_error(http: httpx.Client, body: dict[str, object]) -> None:
    # json.dumps writes NaN and lone surrogates, as careless clients do.
    content = json.dumps({"prompt": "a", "num_inference_steps": 1, **body}).encode()
    answer = http.post(ROUTE, content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 404), answer.text
    if answer.status_code != 200:
        assert error_of(answer)["param"]
