"""Every mistake on the try-on routes is a 4xx with a name that users of try-on services know, and leaves nothing."""

import io
import json
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gateway.api.tryon_body import PICTURE_FIELDS
from gateway.api.tryon_request import TryOnRequest
from tests.gateway.api.studio import Studio, blank, png, studio, uri
from tests.gateway.test_edit_mistakes import deleted_files
from tests.gateway.test_mistakes import error_of

FAST, PREMIUM = "/v1/tryon-fast", "/v1/tryon-premium"


def noise(width: int, height: int) -> bytes:
    return png(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8))


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (128, 128), colour) for colour in ("red", "blue", "green")]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


def broken_jpeg() -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(noise(128, 128))).save(file, "JPEG")
    return file.getvalue()[: len(file.getvalue()) // 2]


def bomb() -> bytes:
    """3000x3000 of one colour: few bytes, more pixels than this server reads."""
    file = io.BytesIO()
    Image.new("L", (3000, 3000)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("field", ["model_image", "garment_image"])
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (lambda: animated("GIF"), "no picture"),
        (lambda: animated("PNG"), "animated"),
        (lambda: animated("WEBP"), "animated"),
        (broken_jpeg, "damaged"),
        (lambda: b"<svg/>", "no picture"),
        (lambda: noise(63, 128), "at least 64"),
        (lambda: noise(128, 20), "at least 64"),
        (bomb, "too large"),
    ],
    ids=["gif", "apng", "webp", "jpeg", "svg", "narrow", "flat", "bomb"],
)
def test_pictures_that_cannot_be_used(client: openai.OpenAI, tryon: Studio, field: str, data: Any, says: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/tryon-fast", body={**tryon.request, field: uri(data())}, cast_to=object)
    error: Any = caught.value.body
    assert (error["code"], error["param"], error["type"]) == ("ImageLoadError", field, "invalid_request_error")
    assert f"'{field}'" in error["message"]
    assert says in error["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", [FAST, PREMIUM])
def test_nobody_to_dress(http: httpx.Client, tryon: Studio, route: str, stream: bool) -> None:
    empty = {**tryon.request, "model_image": uri(png(blank())), "stream": stream}
    answer = http.post(route, json=empty)
    assert (answer.status_code, error_of(answer)["code"]) == (400, "PoseError")
    assert error_of(answer)["param"] == "model_image"


def test_swapped_pictures(http: httpx.Client, tryon: Studio) -> None:
    """Under the names that the caller used."""
    swapped = {"human_image": uri(tryon.garment), "cloth_image": uri(tryon.person)}
    error = error_of(http.post(FAST, json=swapped))
    assert (error["code"], error["param"]) == ("PoseError", "human_image")
    assert "swapped" in error["message"]
    lying = {**tryon.request, "garment_image": uri(tryon.person), "garment_photo_type": "flat-lay"}
    error = error_of(http.post(FAST, json=lying))
    assert (error["code"], error["param"]) == ("InputValidationError", "garment_image")


def test_a_blank_garment(http: httpx.Client, tryon: Studio) -> None:
    error = error_of(http.post(FAST, json={**tryon.request, "garment_image": uri(png(blank()))}))
    assert (error["code"], error["param"]) == ("InputValidationError", "garment_image")


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("http://127.0.0.1:8080/a.png", "port 8080; allowed: 80, 443"),
        ("http://127.0.0.1/a.png", "not on the public internet"),
        ("http://0x7f000001/", "not on the public internet"),
        ("http://[::ffff:127.0.0.1]/", "not on the public internet"),
        ("http://169.254.169.254/latest/meta-data/", "not on the public internet"),
        ("https://10.0.0.1/", "not on the public internet"),
        ("http://user:secret@10.0.0.1/", "user name"),
        ("file:///etc/passwd", "http or https"),
        ("data:text/html;base64,PGI+", "allowed: image/png"),
        ("person.png", "no link, no data URI and no base64"),
        ("", "is empty"),
    ],
)
@pytest.mark.parametrize("extra", [{}, {"stream": True}, {"async": True}], ids=["whole", "stream", "job"])
def test_references_that_are_not_followed(
    http: httpx.Client, tryon: Studio, reference: str, says: str, extra: dict[str, bool]
) -> None:
    error = error_of(http.post(FAST, json={**tryon.request, "model_image": reference, **extra}))
    assert (error["code"], error["param"]) == ("ImageLoadError", "model_image")
    assert says in error["message"]
    assert "secret" not in error["message"]


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"category": "tops", "garmentClass": "LONG_PANTS"}, "garmentClass", "two category values"),
        ({"category": ["tops", "bottoms"]}, "category", "two category values"),
        ({"category": "hats"}, "category", "'tops', 'bottoms'"),
        ({"num_samples": 5}, "num_samples", "1 to 4"),
        ({"num_samples": "2"}, "num_samples", "must be an integer"),
        ({"seed": -1}, "seed", "0 to"),
        ({"preserve": ["nose"]}, "preserve", "must be one of"),
        ({"merge_style": "hard"}, "merge_style", "must be one of"),
        ({"outputOptions": {"mimeType": "image/gif"}}, "outputOptions", "'mimeType' that must be one of"),
        ({"outputOptions": {"quality": 1}}, "outputOptions", "unknown field 'quality'"),
        ({"callback_url": "http://a/"}, "callback_url", "unknown field"),
        ({"scheduler": "magic"}, "scheduler", "must be one of"),
        ({"model_image": None}, "model_image", "required"),
        ({"garment_image": None}, "garment_image", "required"),
        ({"garment_image": [1]}, "garment_image", "must be a string"),
    ],
)
def test_fields_that_do_not_fit(
    client: openai.OpenAI, tryon: Studio, fields: dict[str, Any], param: str, says: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/tryon-fast", body={**tryon.request, **fields}, cast_to=object)
    error: Any = caught.value.body
    assert (error["code"], error["param"]) == ("InputValidationError", param)
    assert says in error["message"]


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ('{"category": "tops", "category": "bottoms"}', "two category values"),
        ('{"seed": NaN}', "NaN"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("\xff", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("null", "must be a JSON object"),
    ],
)
def test_bodies_that_are_no_object(http: httpx.Client, sent: str, says: str) -> None:
    answer = http.post(FAST, content=sent.encode("latin-1"), headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "InputValidationError"
    assert says in error_of(answer)["message"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_other_content_types(http: httpx.Client, content_type: str) -> None:
    answer = http.post(FAST, content=b"{}", headers={"content-type": content_type} if content_type else {})
    assert answer.status_code == 415
    assert "application/json or multipart/form-data" in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("fields", "files", "param"),
    [
        ({"category": ["tops", "bottoms"]}, ("model_image", "garment_image"), "category"),
        ({"seed": ["1", "2"]}, ("model_image", "garment_image"), "seed"),
        ({}, ("model_image", "model_image", "garment_image"), "model_image"),
        ({}, ("model_image", "human_image", "garment_image"), "human_image"),
        ({"model_image": "data:,"}, ("model_image", "garment_image"), "model_image"),
        ({}, ("model_image", "garment_image", "shoes"), "shoes"),
        ({}, ("garment_image",), "model_image"),
        ({"maskExclusions": "{"}, ("model_image", "garment_image"), "maskExclusions"),
    ],
)
def test_forms_that_do_not_fit(
    http: httpx.Client, tryon: Studio, fields: dict[str, Any], files: tuple[str, ...], param: str
) -> None:
    parts = [(name, ("a.png", tryon.person)) for name in files]
    error = error_of(http.post(FAST, data=fields, files=parts))
    assert (error["code"], error["param"]) == ("InputValidationError", param)


def test_models_that_do_no_try_on(http: httpx.Client, tryon: Studio) -> None:
    answer = http.post(FAST, json={**tryon.request, "model": "nothing"})
    assert (answer.status_code, error_of(answer)["param"]) == (404, "model")


def test_limits_of_bodies(tmp_path: Path) -> None:
    limits = {"uploads.max_body_bytes": 300_000, "server.max_body_bytes": 1024}
    with studio(tmp_path, **limits) as running, httpx.Client(base_url=running.gateway.url, timeout=60) as http:
        assert http.post(FAST, json=running.request).status_code == 200
        assert http.post(FAST, files={"model_image": b"x" * 200_000}).status_code == 400
        for sent in ({"json": {"model_image": "A" * 300_000}}, {"files": {"model_image": b"x" * 300_000}}):
            answer = http.post(FAST, **sent)
            assert (answer.status_code, error_of(answer)["code"]) == (413, "request_too_large")


def test_nothing_is_left(http: httpx.Client, tryon: Studio) -> None:
    """Of requests that failed early, late, and while they streamed; their pictures were large enough for the disk."""
    large = noise(900, 900)
    assert len(large) > 2 * 1024 * 1024
    before = deleted_files()
    tryon.world.drawer.fail = RuntimeError("broken")
    files = [("model_image", ("a.png", large)), ("garment_image", ("b.png", tryon.garment))]
    for fields in ({}, {"stream": "true"}, {"num_samples": "x"}, {"async": "true", "stream": "true"}):
        http.post(PREMIUM, data=fields, files=files)
        for _ in range(2):
            http.post(FAST, json={**tryon.request, **({"stream": True} if fields else {})})
    deadline = time.monotonic() + 20
    while deleted_files() > before or tryon.world.drawer.running:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # Fewer permits than that were to be had.
    tryon.world.drawer.fail = None
    assert http.post(FAST, json=tryon.request).status_code == 200


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "auto", "tops", "white", "IMAGE", "LONG_PANTS", "png", "url", "data:,", "http://10.0.0.1/"]),
    st.text(max_size=8),
    st.lists(st.sampled_from(["tops", "face", "data:,"]), max_size=3),
    st.dictionaries(st.sampled_from(["mimeType", "preserveFace", "image"]), st.text(max_size=4), max_size=2),
)
_FIELDS = [field.alias or name for name, field in TryOnRequest.model_fields.items()]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(st.sampled_from([*_FIELDS, "other"]), _VALUES, max_size=5), whole=st.booleans())
def test_no_body_whatever_is_a_server_error(
    http: httpx.Client, tryon: Studio, fields: dict[str, Any], whole: bool
) -> None:
    sent = json.dumps({**(tryon.request if whole else {}), **fields}, ensure_ascii=True)
    answer = http.post(PREMIUM, content=sent, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 202, 400, 404), answer.text
    if answer.status_code >= 400:
        assert error_of(answer)["type"] == "invalid_request_error"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.dictionaries(
        st.sampled_from([*_FIELDS, "other", "n[]", "[]", ""]),
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8) | st.sampled_from(["1", "true"]),
        max_size=4,
    ),
    files=st.lists(st.sampled_from([*PICTURE_FIELDS, "garment_image[]", "other"]), max_size=3),
)
def test_no_form_whatever_is_a_server_error(
    http: httpx.Client, tryon: Studio, fields: dict[str, str], files: list[str]
) -> None:
    parts = [(name, ("a.png", tryon.person)) for name in files] or [("seed", (None, b"1"))]
    answer = http.post(FAST, data=fields, files=parts)
    assert answer.status_code in (200, 202, 400, 404), answer.text
