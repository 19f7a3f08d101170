"""Every mistake in an upload ends in OpenAI's envelope with the right status, and leaves no file behind."""

import io
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api.edit_request import ImageEditRequest
from gateway.domain.errors import BackendFailed
from tests.gateway.pictures import file_of, mask_of, noise_picture
from tests.gateway.server import RunningGateway, serve
from tests.gateway.test_mistakes import error_of

EDITS, VARIATIONS = "/v1/images/edits", "/v1/images/variations"
GOOD = {"prompt": "a red dress", "num_inference_steps": "1"}
PICTURE = file_of(noise_picture(64, 64)).getvalue()


def image(data: bytes = PICTURE, field: str = "image") -> tuple[str, tuple[str, bytes]]:
    return field, ("picture.png", data)


def png(size: tuple[int, int] = (64, 64), mode: str = "RGBA") -> bytes:
    return file_of(mask_of(*size, (0, 0, 8, 8)).convert(mode)).getvalue()


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"prompt": " "}, "prompt", "must not be empty"),
        ({"prompt": ""}, "prompt", "is required"),
        ({"prompt": "x" * 40_000}, "prompt", "at most 32000 characters"),
        ({"n": "0"}, "n", "1 to 10"),
        ({"n": "many"}, "n", "must be an integer; allowed: 1 to 10"),
        ({"n": "1.5"}, "n", "must be an integer"),
        ({"size": "100x128"}, "size", "multiple of 8"),
        ({"strength": "0"}, "strength", "above 0"),
        ({"strength": "1.01"}, "strength", "above 0"),
        ({"strength": "nan"}, "strength", "finite"),
        ({"strength": "0.3"}, "strength", "less than one step"),
        ({"input_fidelity": "full"}, "input_fidelity", "'low' or 'high'"),
        ({"stream": "perhaps"}, "stream", "true or false"),
        ({"partial_images": "2"}, "partial_images", "needs 'stream'"),
        ({"background": "transparent"}, "background", "no alpha"),
        ({"guidance_scale": "high"}, "guidance_scale", "must be a number"),
        ({"guidance_interval": "0.5"}, "guidance_interval", "two numbers"),
        ({"guidance_interval[]": ["0.8", "0.2"]}, "guidance_interval", "smaller one first"),
        ({"guidance_interval[]": ["0", "2"]}, "guidance_interval", "0 to 1"),
        ({"step_cache": "-1"}, "step_cache", "0 to 1"),
        ({"colour": "red"}, "colour", "unknown field"),
        ({"n": ["1", "2"]}, "n", "more than once"),
        ({"scheduler": "magic"}, "scheduler", "must be one of"),
        ({"mask": "https://example.org/mask.png"}, "mask", "must be a file"),
    ],
)
def test_a_field_that_does_not_fit(http: httpx.Client, fields: dict[str, object], param: str, says: str) -> None:
    answer = http.post(EDITS, data={**GOOD, **fields}, files=[image()])
    assert answer.status_code == 400, answer.text
    error = error_of(answer)
    assert error["param"] == param
    assert says in error["message"]


@pytest.mark.parametrize(
    ("files", "param", "says"),
    [
        ([image(b"", "mask")], "mask", "empty file"),
        ([image(b"")], "image", "empty file"),
        ([image(png(), "mask")], "image", "'image' is required"),
        ([image(), image(png((64, 72)), "mask")], "mask", "64x72 pixels and the picture 64x64"),
        ([image(), image(png(mode="RGB"), "mask")], "mask", "no alpha channel"),
        ([image(), image(file_of(mask_of(64, 64, (0, 0, 0, 0))).getvalue(), "mask")], "mask", "opaque everywhere"),
        ([image(), image(b"text", "mask")], "mask", "no picture"),
        ([image(), image(png(), "mask"), image(png(), "mask")], "mask", "more than once"),
        ([image(b"text")], "image", "no picture"),
        ([image(PICTURE[:500])], "image", "damaged"),
        ([image(), image()], "image", "at most 1"),
        ([image(field="image[]"), image(field="image[]")], "image", "at most 1"),
        ([image(), image(field="markup")], "markup", "unknown file"),
    ],
)
def test_a_file_that_does_not_fit(
    http: httpx.Client, files: list[tuple[str, tuple[str, bytes]]], param: str, says: str
) -> None:
    for extra in ({}, {"stream": "true"}):
        answer = http.post(EDITS, data={**GOOD, **extra}, files=files)
        assert answer.status_code == 400, answer.text
        error = error_of(answer)
        assert error["param"] == param
        assert says in error["message"]


def test_a_mask_that_the_size_cuts_off(http: httpx.Client) -> None:
    wide = file_of(noise_picture(400, 64)).getvalue()
    files = [image(wide), image(png((400, 64)), "mask")]
    answer = http.post(EDITS, data={**GOOD, "size": "64x64"}, files=files)
    assert error_of(answer)["param"] == "size"


def test_an_image_is_required(http: httpx.Client) -> None:
    for route in (EDITS, VARIATIONS):
        answer = http.post(route, data=GOOD if route == EDITS else {}, files=[("n", (None, b"1"))])
        assert (answer.status_code, error_of(answer)["param"]) == (400, "image")
        linked = http.post(route, files=[("image", (None, b"https://example.org/a.png"))])
        assert "links are not fetched" in error_of(linked)["message"]


@pytest.mark.parametrize("fields", [{"prompt": "a"}, {"stream": "true"}, {"input_fidelity": "high"}])
def test_what_a_variation_does_not_take(http: httpx.Client, fields: dict[str, str]) -> None:
    answer = http.post(VARIATIONS, data=fields, files=[image()])
    assert (answer.status_code, error_of(answer)["param"]) == (400, next(iter(fields)))


def test_a_variation_takes_one_picture_and_no_mask(http: httpx.Client) -> None:
    assert error_of(http.post(VARIATIONS, files=[image(), image()]))["param"] == "image"
    assert error_of(http.post(VARIATIONS, files=[image(), image(png(), "mask")]))["param"] == "mask"


def test_an_unknown_model_is_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.images.edit(image=io.BytesIO(PICTURE), prompt="a", model="dall-e-2")


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded", "", "multipart/mixed"]
)
def test_a_body_that_is_no_form(http: httpx.Client, content_type: str) -> None:
    answer = http.post(EDITS, content=b"{}", headers={"content-type": content_type} if content_type else {})
    assert answer.status_code == 415
    assert "multipart/form-data" in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=a", b"x"),
        ("multipart/form-data; boundary=a", b"--a\r\ncontent-disposition: form-data\r\n\r\nx\r\n--a--\r\n"),
        ("multipart/form-data; boundary=a", b"--a\r\n: \r\n\r\nx\r\n--a--\r\n"),
        ("multipart/form-data; boundary=" + "a" * 500, b"x"),
        ("multipart/form-data; boundary=a", b""),
        (
            "multipart/form-data; boundary=a",
            b'--a\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\nx',
        ),
    ],
)
def test_a_form_that_is_broken(http: httpx.Client, content_type: str, body: bytes) -> None:
    answer = http.post(EDITS, content=body, headers={"content-type": content_type})
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "invalid_request_error"


def test_a_form_of_too_many_parts(http: httpx.Client) -> None:
    many_files = http.post(EDITS, data=GOOD, files=[image() for _ in range(21)])
    many_fields = http.post(EDITS, data={f"field{number}": "1" for number in range(101)}, files=[image()])
    long_field = http.post(EDITS, data={**GOOD, "user": "x" * 300_000}, files=[image()])
    for answer in (many_files, many_fields, long_field):
        assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_form")


def test_a_body_over_its_own_limit(tmp_path: Path) -> None:
    large = file_of(noise_picture(200, 200)).getvalue()
    limits = {"uploads.max_body_bytes": 50_000, "uploads.max_pixels": 1000}
    with serve(tmp_path, dict(limits)) as gateway, httpx.Client(base_url=gateway.url) as http:
        declared = http.post(EDITS, data=GOOD, files=[image(large)])
        request = http.build_request("POST", EDITS, data=GOOD, files=[image(large)])
        body = request.read()

        def chunks() -> Iterator[bytes]:
            yield from (body[start : start + 20_000] for start in range(0, len(body), 20_000))

        found_out = http.post(EDITS, content=chunks(), headers={"content-type": request.headers["content-type"]})
        for answer in (declared, found_out):
            assert (answer.status_code, error_of(answer)["code"]) == (413, "request_too_large")
        assert error_of(http.post(EDITS, data=GOOD, files=[image()]))["code"] == "image_too_large"
        # The other routes keep theirs.
        assert http.post("/v1/images/generations", json={**GOOD, "user": "x" * 60_000}).status_code == 400


def deleted_files() -> int:
    """Files that this process, which is the server too, has open and that have no name any more."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        count += target.endswith("(deleted)") and "/memfd:" not in target
    return count


def test_files_on_disk_are_gone_after_the_answer(http: httpx.Client, gateway: RunningGateway) -> None:
    large = file_of(noise_picture(1000, 1000)).getvalue()
    assert len(large) > 2 * 1024 * 1024
    before = deleted_files()
    for _ in range(3):
        answer = http.post(EDITS, data={**GOOD, "size": "64x64", "stream": "true"}, files=[image(large)])
        assert "image_edit.completed" in answer.text
        assert http.post(EDITS, data={**GOOD, "n": "x"}, files=[image(large)]).status_code == 400
        gateway.backend.fail_denoise = BackendFailed("broken")
        assert http.post(EDITS, data={**GOOD, "size": "64x64"}, files=[image(large)]).status_code == 500
        gateway.backend.fail_denoise = None
    deadline = time.monotonic() + 20
    while deleted_files() > before:
        assert time.monotonic() < deadline, "files of uploads are still open"
        time.sleep(0.01)


def test_hanging_up_while_sending_is_nobodys_error(
    gateway: RunningGateway, http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = "POST /v1/images/edits HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n"
        connection.sendall(f"{head}content-type: multipart/form-data; boundary=a\r\n\r\n--a\r\n".encode())
        time.sleep(0.1)
    deadline = time.monotonic() + 20
    while 'route="/v1/images/edits",status="499"' not in http.get("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.dictionaries(
        st.sampled_from([*ImageEditRequest.model_fields, "other", "image", "mask", "n[]", "[]", ""]),
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)
        | st.sampled_from(["1", "0.5", "true", "64x64", "high", "10"]),
        max_size=5,
    )
)
def test_no_form_whatever_is_a_server_error(http: httpx.Client, fields: dict[str, str]) -> None:
    answer = http.post(EDITS, data={**GOOD, **fields}, files=[image()])
    assert answer.status_code in (200, 400, 404), answer.text
    if answer.status_code != 200:
        error_of(answer)
