"""`POST /v1/images/layers` over a model whose layers are known."""

import base64
import io
import json
import zipfile
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from gateway.domain.edits import PictureFile
from gateway.pipelines.incoming import read_sheet
from tests.gateway.jobs.client import events, until, wait_for
from tests.gateway.layers.separator import (
    MODEL,
    ROUTE,
    TEXT,
    LayeredBackend,
    cut_out,
    layered_jobs,
    picture,
    sheet,
    sheet_of,
    uri,
)
from tests.gateway.server import RunningGateway

BODY = {"image": uri(picture()), "seed": 5, "response_format": "b64_json"}


def ask(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = http.post(ROUTE, json={**BODY, **fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def source_of(data: bytes) -> np.ndarray:
    return read_sheet(PictureFile("image", io.BytesIO(data)), 10**6)


def over(layers: list[dict[str, Any]]) -> np.ndarray:
    """Pillow's opinion of the layers over one another."""
    stack = [Image.fromarray(sheet_of(layer)) for layer in layers]
    whole = stack[0]
    for layer in stack[1:]:
        whole = Image.alpha_composite(whole, layer)
    return np.asarray(whole)


def far(one: np.ndarray, other: np.ndarray) -> int:
    """Pillow and we round halves of translucent pixels differently."""
    return int(np.abs(one.astype(int) - other).max())


def test_layers_come_bottom_to_top_with_names_boxes_and_the_pictures_own_pixels(
    http: httpx.Client, backend: LayeredBackend
) -> None:
    answer = ask(http)
    assert [layer["layer_index"] for layer in answer["data"]] == [0, 1, 2, 3]
    assert [layer["name"] for layer in answer["data"]] == ["ground", "person", "dress", "hat"]
    assert answer["data"][0]["bbox"] == [0, 0, 96, 64]
    for layer, x in zip(answer["data"][1:], (24, 48, 72), strict=True):
        left, top, width, height = layer["bbox"]
        # The model draws at two thirds of the width: edges come back as soft as that is, and moved by up to one of
        # its pixels, to where the picture has them.
        assert abs(left - x) <= 4 and abs(left + width - (x + 24)) <= 4 and (top, height) == (0, 64)
    assert {key: answer[key] for key in ("model", "seed", "layers", "size", "resolution", "drawn_size")} == {
        "model": MODEL, "seed": 5, "layers": 4, "size": "96x64", "resolution": 64, "drawn_size": "64x64"
    }  # fmt: skip
    assert answer["recomposition_psnr"] is None or answer["recomposition_psnr"] > 40
    source = source_of(picture())
    assert far(sheet_of(answer["composite"]), source) <= 1 and far(over(answer["data"]), source) <= 2
    hat = sheet_of(answer["data"][3])
    opaque = hat[..., 3] == 255
    assert opaque[:, 76:].all() and np.array_equal(hat[opaque], source[opaque]) and not hat[:, :68].any()
    # One picture as the reference, opaque; five frames above one another; the first of them is never decoded.
    (job,) = layered_jobs(backend)
    assert (job.latent_height, job.latent_width, job.seeds) == (5 * 8, 8, (5,))
    assert [pixels.shape for pixels in backend.sources] == [(1, 64, 64, 4)] and backend.sources[0][..., 3].min() == 255
    assert [latents.shape for latents in job.references] == [(1, 4, 8, 8)]
    assert backend.decoded == [(4, 4, 8, 8)]


def test_an_explicit_count_keeps_what_is_empty_and_auto_does_not(http: httpx.Client, backend: LayeredBackend) -> None:
    backend.empty = frozenset({2})
    asked = ask(http, layers=4)
    assert [layer["empty"] for layer in asked["data"]] == [False, False, True, False]
    assert "bbox" in asked["data"][2] and asked["data"][2]["bbox"] is None
    found = ask(http, layers="auto")
    assert [(layer["layer_index"], layer["name"]) for layer in found["data"]] == [
        (0, "ground"), (1, "person"), (2, "hat")
    ]  # fmt: skip
    assert [layer["name"] for layer in ask(http, layers=2)["data"]] == ["layer-1", "layer-2"]


def test_what_is_transparent_stays_so(http: httpx.Client) -> None:
    """As a layer of an answer, sent again."""
    answer = ask(http, image=uri(cut_out()), layers=3)
    source = source_of(cut_out())
    for layer in answer["data"]:
        assert (sheet_of(layer)[..., 3] <= source[..., 3]).all()
    shown = source[..., 3] > 0
    assert far(over(answer["data"])[shown], source[shown]) <= 1


@pytest.mark.parametrize("transparency", [3, bytes(range(0, 256, 16))], ids=["one-colour", "each-its-own"])
def test_palettes_with_transparency_are_read_right(
    http: httpx.Client, backend: LayeredBackend, transparency: int | bytes
) -> None:
    file = io.BytesIO()
    Image.open(io.BytesIO(picture())).quantize(16).save(file, "PNG", transparency=transparency)
    answer = ask(http, image=uri(file.getvalue()), layers=2)
    with Image.open(file) as image:
        truth = np.asarray(image.convert("RGBA"))
    assert np.array_equal(source_of(file.getvalue()), truth)
    assert np.array_equal(sheet_of(answer["composite"])[..., 3], truth[..., 3])


def test_layers_of_a_layer_in_the_same_request(http: httpx.Client, backend: LayeredBackend) -> None:
    answer = ask(http, decompose=[3])
    plain = ask(http)
    hat = sheet_of(plain["data"][3])
    assert [layer["name"] for layer in answer["data"][:3]] == ["ground", "person", "dress"]
    parts = answer["data"][3:]
    assert len(parts) > 1 and [layer["layer_index"] for layer in parts] == list(range(3, 3 + len(parts)))
    assert [layer["name"] for layer in parts] == [f"hat/{number}" for number in range(1, len(parts) + 1)]
    assert {layer["parent"] for layer in parts} == {"hat"}
    for part in parts:
        assert (sheet_of(part)[..., 3] <= hat[..., 3]).all()
    assert sheet_of(answer["composite"]).tobytes() == sheet_of(plain["composite"]).tobytes()

    backend.empty = frozenset({1, 2})
    told = ask(http, layers=4, decompose=[1])
    assert told["layers"] == 4 and "empty" in told["warnings"][0]
    assert "no layer 3" in ask(http, decompose=[3])["warnings"][0]


def test_text_to_picture_to_layers(http: httpx.Client, backend: LayeredBackend) -> None:
    body = {"prompt": "a red dress", "generate": {"size": "128x96", "num_inference_steps": 2, "seed": 9}, "seed": 4}
    answer = http.post(ROUTE, json={**body, "response_format": "b64_json"}).raise_for_status().json()
    source = answer["source"]
    assert (source["model"], source["seed"], source["size"], answer["size"]) == (TEXT, 9, "128x96", "128x96")
    drawn = source_of(base64.b64decode(source["b64_json"]))
    assert far(sheet_of(answer["composite"]), drawn) <= 1
    with openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="unused", max_retries=0) as client:
        alone = client.images.generate(
            prompt="a red dress",
            size="128x96",  # type: ignore[arg-type]
            response_format="b64_json",
            extra_body={"num_inference_steps": 2, "seed": 9},
        )
    assert alone.data and np.array_equal(source_of(base64.b64decode(alone.data[0].b64_json or "")), drawn)


@pytest.mark.parametrize("output", ["zip", "psd", "ora", "pptx", "webp-animation"])
def test_one_file_of_all(http: httpx.Client, output: str) -> None:
    answer = ask(http, output=output, response_format="url")
    assert answer["file"]["format"] == output
    assert not any("url" in layer or "b64_json" in layer for layer in answer["data"])
    fetched = http.get(answer["file"]["url"])
    assert fetched.status_code == 200
    if output == "zip":
        with zipfile.ZipFile(io.BytesIO(fetched.content)) as archive:
            assert sum(name.endswith(".png") for name in archive.namelist()) >= 4
    shown = "inline" if output == "webp-animation" else "attachment"
    assert fetched.headers["content-disposition"].startswith(shown)


def test_a_form_with_a_file_gives_the_same(http: httpx.Client) -> None:
    form = {"seed": "5", "layers": "3", "response_format": "b64_json", "decompose": "1", "true_cfg_scale": "2.5"}
    answer = http.post(ROUTE, data=form, files={"image": ("a.png", picture())}).raise_for_status().json()
    same = ask(http, layers=3, decompose=[1], guidance_scale=2.5)
    assert answer["data"] == same["data"]
    texts = {"prompt": "a hat", "generate": '{"num_inference_steps": 2}', "layers": "auto"}
    drawn = http.post(ROUTE, files={name: (None, text) for name, text in texts.items()})
    assert drawn.status_code == 200 and drawn.json()["source"]["model"] == TEXT


def test_guidance_speaks_of_nothing_by_default(http: httpx.Client, backend: LayeredBackend) -> None:
    ask(http, guidance_scale=4)
    ask(http, guidance_scale=1)
    guided, plain = layered_jobs(backend)
    assert [len(job.conditions[0].array) for job in (guided, plain)] == [2, 1]
    assert np.array_equal(guided.conditions[0].array[1], plain.conditions[0].array[0])


def test_a_stream_shows_every_layer_as_it_forms(http: httpx.Client, backend: LayeredBackend) -> None:
    told = http.post(ROUTE, json={**BODY, "stream": True, "partial_images": 2, "num_inference_steps": 6})
    lines = [line[6:] for line in told.text.splitlines() if line.startswith("data: ")]
    news = [json.loads(line) for line in lines]
    partials = [event for event in news if event["type"] == "image_layers.partial_image"]
    assert [(event["partial_image_index"], event["layer_index"]) for event in partials] == [
        (order, layer) for order in (0, 1) for layer in range(4)
    ]
    assert partials[3]["size"] == "64x64" and sheet_of(partials[3])[:, 50:, 3].min() == 255
    assert partials[0]["b64_json"] != partials[4]["b64_json"], "an estimate of a later step"
    shares = [event["progress"] for event in news if event["type"] == "image_layers.progress"]
    assert shares and shares == sorted(shares) and shares[-1] == 1
    assert news[-1]["type"] == "image_layers.completed"
    assert news[-1]["data"] == ask(http, num_inference_steps=6)["data"]


def test_a_job_gives_the_same_and_its_pictures_are_links(http: httpx.Client) -> None:
    body = {**BODY, "response_format": "url", "partial_images": 1, "decompose": [2], "async": True}
    taken = http.post(ROUTE, json=body)
    assert taken.status_code == 202 and taken.json()["kind"] == "image_layers"
    job = wait_for(http, taken.json()["id"], "completed", "failed")
    assert job["status"] == "completed", job
    same = ask(http, decompose=[2])
    assert [layer["name"] for layer in job["result"]["data"]] == [layer["name"] for layer in same["data"]]
    for layer, other in zip(job["result"]["data"], same["data"], strict=True):
        assert np.array_equal(sheet(http.get(layer["url"]).content), sheet_of(other))
    previews = [event for event in events(http, job["id"], after=0) if event.kind == "job.preview"]
    assert [event.data["image_index"] for event in previews] == [0, 1, 2, 3]

    drawn = {"prompt": "a hat", "generate": {}, "seed": 3, "async": True, "output": "zip"}
    later = wait_for(http, http.post(ROUTE, json=drawn).json()["id"], "completed", "failed")
    assert later["status"] == "completed" and later["result"]["file"]["url"].split("?")[0].endswith(".zip")
    assert later["result"]["source"]["seed"] == 3


def test_cancelling_a_job_and_hanging_up_end_the_work(http: httpx.Client, backend: LayeredBackend) -> None:
    backend.step_seconds = 0.2
    taken = http.post(ROUTE, json={**BODY, "response_format": "url", "num_inference_steps": 150, "async": True}).json()
    until(lambda: backend.running == 1)
    assert http.delete(f"/v1/jobs/{taken['id']}").json()["status"] == "cancelled"
    until(lambda: backend.running == 0)
    with http.stream("POST", ROUTE, json={**BODY, "num_inference_steps": 150, "stream": True}) as answer:
        assert answer.status_code == 200
        until(lambda: backend.running == 1)
    until(lambda: backend.running == 0)
    assert backend.cancelled == 2


def test_models_tell_what_can_be_asked(http: httpx.Client, shared_separator: RunningGateway) -> None:
    models = {model["id"]: model["layers"] for model in http.get("/v1/models").json()["data"]}
    assert models[TEXT] is None
    assert models[MODEL] == {
        "minimum": 2,
        "maximum": 10,
        "usual": 4,
        "resolutions": [64, 128],
        "names": [["ground", "person", "dress", "hat"]],
    }
    # A layered model is nobody's default, though it is the first by name.
    assert http.post("/v1/images/generations", json={"prompt": "a hat"}).status_code == 200
