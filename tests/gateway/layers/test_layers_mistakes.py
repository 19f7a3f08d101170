"""Every mistake on `/v1/images/layers` is a 4xx that names the field and what is allowed, and leaves nothing."""

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from gateway.api.services import find_services
from gateway.domain.edits import PictureFile
from gateway.domain.errors import InvalidRequest
from gateway.domain.pictures import PictureEncoding, PictureFormat
from gateway.domain.tryon import GarmentPicture, TryOnCommand, TryOnMode
from gateway.pipelines.tryon.plan import make_plan
from gateway.settings import TryOnSettings
from tests.gateway.api.test_tryon_mistakes import animated, broken_jpeg
from tests.gateway.jobs.client import wait_for
from tests.gateway.layers.separator import MODEL, ROUTE, TEXT, LayeredBackend, picture, uri
from tests.gateway.server import RunningGateway
from tests.gateway.test_mistakes import error_of

IMAGE = uri(picture())


def plain(mode: str, colour: Any, width: int = 64, height: int = 64) -> str:
    file = io.BytesIO()
    Image.new(mode, (width, height), colour).save(file, "PNG")
    return uri(file.getvalue())


def hidden_noise() -> str:
    """Fully transparent, though its hidden colours differ."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    pixels[..., 3] = 0
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return uri(file.getvalue())


FIELDS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "jpeg": ({"output_format": "jpeg"}, "invalid_value", "output_format", "allowed: png, webp"),
    **{
        f"layers-{count}": ({"layers": count}, "invalid_value", "layers", "'auto' or an integer from 2 to 10")
        for count in (0, 1, 11, -3, "many", 2.5, True, "", [4])
    },
    "resolution": ({"resolution": 640}, "invalid_value", "resolution", "one of 64, 128"),
    "output": ({"output": "svg"}, "invalid_value", "output", "'psd'"),
    "scheduler": ({"scheduler": "best"}, "invalid_value", "scheduler", "one of"),
    "two-guidances": ({"guidance_scale": 2, "true_cfg_scale": 3}, "invalid_value", "true_cfg_scale", "differ"),
    "decompose-far": ({"layers": 3, "decompose": [3]}, "invalid_value", "decompose", "0 (the bottom) to 2"),
    "decompose-auto": ({"decompose": [4]}, "invalid_value", "decompose", "to 3"),
    "decompose-twice": ({"decompose": [1, 1]}, "invalid_value", "decompose", "different"),
    "decompose-below": ({"decompose": [-1]}, "invalid_value", "decompose", "too small"),
    "steps": ({"num_inference_steps": 0}, "invalid_value", "num_inference_steps", "1 to 150"),
    "partial": ({"partial_images": 1}, "invalid_value", "partial_images", "'stream' or 'async'"),
    "async-stream": ({"async": True, "stream": True}, "invalid_value", "async", "exclude each other"),
    "async-inline": ({"async": True, "response_format": "b64_json"}, "invalid_value", "response_format", "url"),
    "unknown": ({"layer_count": 3}, "unknown_parameter", "layer_count", "unknown field"),
    "no-image": ({"image": None}, "missing_required_parameter", "image", "'generate' with a 'prompt'"),
    "prompt-alone": ({"image": None, "prompt": "a hat"}, "missing_required_parameter", "image", "'generate'"),
    "both": ({"generate": {}, "prompt": "a hat"}, "invalid_value", "generate", "exclude each other"),
    "no-prompt": ({"image": None, "generate": {}}, "missing_required_parameter", "prompt", "what the picture shows"),
    "generate-text": ({"image": None, "generate": "yes"}, "invalid_value", "generate", "JSON object"),
    "generate-list": ({"image": None, "generate": []}, "invalid_value", "generate", "JSON object"),
    "generate-field": ({"image": None, "generate": {"n": 2}}, "invalid_value", "generate", "unknown field 'n'"),
    "generate-size": (
        {"image": None, "prompt": "a hat", "generate": {"size": "7x7"}}, "invalid_value", "generate.size", "multiple"
    ),
    "generate-model": (
        {"image": None, "prompt": "a hat", "generate": {"model": MODEL}},
        "model_needs_pictures", "generate.model", "/v1/images/layers",
    ),
    "model-of-text": ({"model": TEXT}, "invalid_value", "model", "/v1/images/generations; those that do: layered"),
    "base64": ({"image": "%%%"}, "ImageLoadError", "image", "no link, no data URI and no base64"),
    "link": ({"image": "http://127.0.0.1/a.png"}, "ImageLoadError", "image", "not on the public internet"),
}  # fmt: skip
PICTURES: dict[str, tuple[Callable[[], str], str, str]] = {
    "blank": (lambda: plain("RGB", "white"), "nothing_to_separate", "one colour"),
    "blank-grey": (lambda: plain("L", 7), "nothing_to_separate", "one colour"),
    "blank-translucent": (lambda: plain("RGBA", (9, 9, 9, 90)), "nothing_to_separate", "one colour"),
    "transparent": (lambda: plain("RGBA", (0, 0, 0, 0)), "nothing_to_separate", "fully transparent"),
    "hidden": (hidden_noise, "nothing_to_separate", "fully transparent"),
    "pixel": (lambda: plain("RGB", "red", 1, 1), "picture_too_small", "at least 32"),
    "narrow": (lambda: uri(picture(31, 100)), "picture_too_small", "31x100"),
    "flat": (lambda: uri(picture(100, 31)), "picture_too_small", "at least 32"),
    "long": (lambda: uri(picture(32, 45_000)), "picture_too_long", "at most"),
    "huge": (lambda: plain("1", 1, 10_000, 5_001), "image_too_large", "50000000 pixels"),
    "gif": (lambda: uri(animated("GIF")), "invalid_value", "no picture"),
    "webp-animation": (lambda: uri(animated("WEBP")), "invalid_value", "animated"),
    "broken": (lambda: uri(broken_jpeg()), "invalid_value", "damaged"),
}


def refused(answer: httpx.Response, code: str, param: str, says: str) -> dict[str, str]:
    error = error_of(answer)
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error"), error
    assert (error["code"], error["param"]) == (code, param), error
    assert says in error["message"], error
    return error


@pytest.mark.parametrize(("fields", "code", "param", "says"), FIELDS.values(), ids=FIELDS)
def test_fields(
    http: httpx.Client, backend: LayeredBackend, fields: dict[str, Any], code: str, param: str, says: str
) -> None:
    refused(http.post(ROUTE, json={"image": IMAGE, **fields}), code, param, says)
    assert not backend.jobs


@pytest.mark.parametrize(("data", "code", "says"), PICTURES.values(), ids=PICTURES)
def test_pictures(http: httpx.Client, backend: LayeredBackend, data: Callable[[], str], code: str, says: str) -> None:
    image = data()
    for fields in ({}, {"layers": 3}, {"stream": True}):
        error = refused(http.post(ROUTE, json={"image": image, **fields}), code, "image", says)
    # Only a look at the picture tells: the job fails in the same words.
    taken = http.post(ROUTE, json={"image": image, "layers": 3, "async": True})
    assert taken.status_code == 202
    job = wait_for(http, taken.json()["id"], "failed", "completed")
    assert (job["status"], job["error"]) == ("failed", error)
    assert not backend.jobs


def test_a_large_picture_is_no_large_number_of_layers(http: httpx.Client, backend: LayeredBackend) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 2, (5000, 5000), dtype=np.uint8) * 255).convert("1")
    file = io.BytesIO()
    noise.save(file, "PNG")
    body = {"image": uri(file.getvalue()), "layers": 10}
    refused(http.post(ROUTE, json=body), "image_too_large", "image", "for 10 layers: it has 5000x5000 pixels")
    assert not backend.jobs


def test_forms(http: httpx.Client, backend: LayeredBackend) -> None:
    two = [("image", ("a.png", picture())), ("image[]", ("b.png", picture()))]
    refused(http.post(ROUTE, files=two), "invalid_value", "image", "allowed: one")
    both = http.post(ROUTE, data={"image": IMAGE}, files={"image": ("a.png", picture())})
    refused(both, "invalid_value", "image", "allowed: one")
    image = {"image": ("a.png", picture())}
    refused(http.post(ROUTE, data={"layers": "1"}, files=image), "invalid_value", "layers", "2 to 10")
    refused(http.post(ROUTE, data={"generate": "{"}, files=image), "invalid_value", "generate", "JSON object")
    refused(http.post(ROUTE, files={"mask": ("a.png", picture())}), "unknown_parameter", "mask", "unknown file")
    assert http.post(ROUTE, content=b"x", headers={"content-type": "image/png"}).status_code == 415
    assert error_of(http.post(ROUTE, json={"image": IMAGE, "model": "nobody"}))["code"] == "model_not_found"
    assert not backend.jobs


def test_a_server_without_such_a_model(gateway: RunningGateway) -> None:
    error = error_of(answer := httpx.post(gateway.url + ROUTE, json={"image": IMAGE}))
    assert (answer.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "takes pictures apart" in error["message"]


def test_layered_models_say_elsewhere_where_they_are_asked(http: httpx.Client, backend: LayeredBackend) -> None:
    drawn = http.post("/v1/images/generations", json={"prompt": "a hat", "model": MODEL})
    refused(drawn, "model_needs_pictures", "model", "/v1/images/layers")
    image = {"image": ("a.png", picture())}
    for route, data in (("edits", {"prompt": "a hat", "model": MODEL}), ("variations", {"model": MODEL})):
        answer = http.post(f"/v1/images/{route}", data=data, files=image)
        refused(answer, "model_needs_pictures", "model", "/v1/images/layers")
    assert not backend.jobs


@pytest.mark.parametrize(("name", "route"), [(MODEL, ROUTE), (TEXT, "/v1/images/generations")])
def test_try_on_says_where_other_models_are_asked(shared_separator: RunningGateway, name: str, route: str) -> None:
    services = find_services(shared_separator.app)
    assert services is not None
    file = PictureFile("model_image", io.BytesIO())
    encoding = PictureEncoding(PictureFormat.PNG, 100, embed_parameters=False)
    asked = TryOnCommand(TryOnMode.FAST, file, (GarmentPicture(file),), 1, encoding, model=name)
    with pytest.raises(InvalidRequest, match=route) as caught:
        make_plan(asked, TryOnSettings().options, services.models)
    assert caught.value.param == "model"


def test_failures_under_way(http: httpx.Client, backend: LayeredBackend, shared_separator: RunningGateway) -> None:
    backend.fail_denoise, backend.fail_after_steps = RuntimeError("no"), 1
    assert error_of(answer := http.post(ROUTE, json={"image": IMAGE}))["type"] == "server_error"
    assert answer.status_code == 500
    told = http.post(ROUTE, json={"image": IMAGE, "stream": True})
    assert told.status_code == 200
    last = told.text.strip().split("\n\n")[-1]
    assert (
        last.startswith("event: error") and json.loads(last.partition("data: ")[2])["error"]["type"] == "server_error"
    )
    backend.fail_denoise, backend.replace_during_denoise = None, True
    again = http.post(ROUTE, json={"image": IMAGE, "seed": 1}).json()
    assert again["layers"] == 4 and {job.release.version for job in backend.jobs[-2:]} == {"1", "2"}
