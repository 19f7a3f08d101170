"""`POST /v1/images/layers/compose`."""

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from psd_tools import PSDImage

from gateway.domain.composing import MOST_LAYERS
from gateway.domain.layers import Sheet
from gateway.domain.pictures import PictureSize
from gateway.pipelines.layers.blend import BlendMode
from gateway.pipelines.layers.compose import compose
from gateway.pipelines.layers.placed import Placed
from tests.gateway.pictures import file_of, noise_picture

ROUTE = "/v1/images/layers/compose"


def inline(image: Image.Image) -> str:
    return "data:image/png;base64," + base64.b64encode(file_of(image).getvalue()).decode()


GROUND, TOP = noise_picture(40, 30, seed=1), noise_picture(20, 10, channels=4, seed=2)
LAYERS: list[dict[str, Any]] = [{"image": inline(GROUND), "name": "ground"}, {"image": inline(TOP), "name": "top"}]


def body(*layers: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    return {"layers": list(layers or LAYERS), "response_format": "b64_json", **fields}


def picture(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(base64.b64decode(answer.json()["data"][0]["b64_json"])))


def sheet(image: Image.Image) -> Sheet:
    return np.array(image.convert("RGBA"))


def test_layers_lie_as_the_request_says(http: httpx.Client) -> None:
    above = {**LAYERS[1], "x": 25, "y": -3, "opacity": 0.5, "blend_mode": "multiply"}
    hidden = {**LAYERS[1], "name": "hidden", "visible": False}
    answer = http.post(ROUTE, json=body(LAYERS[0], above, hidden))
    expected = compose(
        [
            Placed("", sheet(GROUND)),
            Placed("", sheet(TOP), x=25, y=-3, opacity=0.5, blend=BlendMode.MULTIPLY),
        ],
        PictureSize(40, 30),
    )
    assert np.array_equal(sheet(picture(answer)), expected)
    said = answer.json()
    assert (said["size"], said["background"], said["layers"], said["output_format"]) == ("40x30", "opaque", 3, "png")
    assert "file" not in said
    assert picture(http.post(ROUTE, json=body(LAYERS[0], above, hidden))).tobytes() == picture(answer).tobytes()


@pytest.mark.parametrize("order", [[1, 0], ["top", "ground"], [1, "ground"]])
def test_order_is_bottom_to_top(http: httpx.Client, order: list[int | str]) -> None:
    answer = http.post(ROUTE, json=body(order=order))
    # The picture is as large as the layer that is the lowest now.
    under = compose([Placed("", sheet(TOP)), Placed("", sheet(GROUND))], PictureSize(20, 10))
    assert np.array_equal(sheet(picture(answer)), under)


def test_size_and_background(http: httpx.Client) -> None:
    answer = http.post(ROUTE, json=body(LAYERS[1], size="24x12"))
    assert answer.json()["background"] == "transparent" and picture(answer).size == (24, 12)
    filled = http.post(ROUTE, json=body(LAYERS[1], size="24x12", background="#0a80FF", output_format="jpeg"))
    assert picture(filled).format == "JPEG" and filled.json()["background"] == "opaque"
    corner = np.array(picture(filled))[-1, -1].astype(int)
    assert np.abs(corner - (10, 128, 255)).max() <= 6


def test_a_form_sends_files_by_name(http: httpx.Client) -> None:
    layers = [{"image": "ground"}, {"image": "sprite", "x": 5}, {"image": "sprite", "x": 15, "y": 10}]
    files = [("ground", file_of(GROUND)), ("sprite", file_of(TOP)), ("sprite", file_of(noise_picture(9, 9, seed=7)))]
    answer = http.post(
        ROUTE, data={"layers": json.dumps(layers), "order": "[0, 2, 1]", "response_format": "b64_json"}, files=files
    )
    expected = compose(
        [
            Placed("", sheet(GROUND)),
            Placed("", sheet(noise_picture(9, 9, seed=7)), x=15, y=10),
            Placed("", sheet(TOP), x=5),
        ],
        PictureSize(40, 30),
    )
    assert np.array_equal(sheet(picture(answer)), expected)


def test_links_and_files_of_the_stack(http: httpx.Client) -> None:
    moved = {**LAYERS[1], "x": 3, "opacity": 0.2}
    said = http.post(ROUTE, json=body(LAYERS[0], moved, response_format="url", output="psd")).json()
    stored = http.get(said["file"]["url"])
    assert stored.headers["content-type"] == "image/vnd.adobe.photoshop"
    psd = PSDImage.open(io.BytesIO(stored.content))
    assert [(layer.name, layer.left, layer.opacity) for layer in psd] == [("ground", 0, 255), ("top", 3, 51)]
    shown = Image.open(io.BytesIO(http.get(said["data"][0]["url"]).content))
    merged = psd.topil()
    assert merged is not None and np.array_equal(sheet(shown), sheet(merged))


def test_a_background_is_a_layer_of_the_file(http: httpx.Client) -> None:
    said = http.post(ROUTE, json=body(LAYERS[1], background="#102030", output="zip")).json()
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(said["file"]["b64_json"])))
    assert archive.namelist()[:2] == ["00-background-colour.png", "01-top.png"]
    assert Image.open(archive.open("00-background-colour.png")).getpixel((0, 0)) == (16, 32, 48, 255)


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"layers": []}, "layers", "0 layers; allowed: 1 to"),
        ({"layers": [LAYERS[0]] * (MOST_LAYERS + 1)}, "layers", "allowed: 1 to 40"),
        ({"layers": [LAYERS[0], {"name": "nothing"}]}, "layers", "lacks the field 'image' (item 1)"),
        ({"layers": [{"image": ""}]}, "layers.0.image", "a picture is missing"),
        ({"layers": [LAYERS[0], {"image": "missing.png"}]}, "layers.1.image", "no link, no data URI"),
        ({"layers": [LAYERS[0], {"image": "aGVsbG8="}]}, "layers.1.image", "no picture that can be read"),
        ({"layers": [{**LAYERS[0], "opacity": 1.5}]}, "layers", "is too large; allowed: 0 to 1 (item 0)"),
        ({"layers": [{**LAYERS[0], "blend_mode": "dissolve"}]}, "layers", "'blend_mode' that must be one of 'normal'"),
        ({"layers": [{**LAYERS[0], "z": 1}]}, "layers", "unknown field"),
        ({"layers": [{**LAYERS[0], "name": "a\x01b"}]}, "layers.0.name", "cannot be written"),
        ({"order": [0, 2]}, "order", "layer 2; there are 0 to 1"),
        ({"order": [0, -1]}, "order", "layer -1"),
        ({"order": ["ground", "sky"]}, "order", "'sky', and no layer has this name"),
        ({"order": [0, "ground"]}, "order", "more than once"),
        ({"order": [1]}, "order", "leaves out layer 0 ('ground')"),
        ({"layers": LAYERS * 2, "order": ["top", "ground", 2, 3]}, "order", "several layers have this name"),
        ({"size": "0x10"}, "size", "WIDTHxHEIGHT"),
        ({"size": "99999x99999"}, "size", "too large"),
        ({"background": "white"}, "background", "#rrggbb"),
        ({"layers": LAYERS[1:], "output_format": "jpeg"}, "output_format", "no alpha"),
        ({"output": "tiff"}, "output", "must be one of"),
        (
            {"layers": [LAYERS[0], {**LAYERS[1], "blend_mode": "screen"}], "output": "pptx"},
            "output",
            "no blend mode screen",
        ),
    ],
)
def test_mistakes_name_their_field(http: httpx.Client, fields: dict[str, Any], param: str, message: str) -> None:
    answer = http.post(ROUTE, json={"layers": LAYERS, **fields})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param and message in error["message"], error


@pytest.mark.parametrize(
    ("layers", "files", "message"),
    [
        ('[{"image": "a"}]', {"a": file_of(GROUND), "b": file_of(TOP)}, "the file 'b' is in no layer"),
        ('[{"image": "a"}, {"image": "a"}]', {"a": file_of(GROUND)}, "which an earlier layer has"),
        ("[{", {"a": file_of(GROUND)}, "must be JSON"),
    ],
)
def test_forms_with_mistakes(http: httpx.Client, layers: str, files: dict[str, io.BytesIO], message: str) -> None:
    answer = http.post(ROUTE, data={"layers": layers}, files=files)
    assert answer.status_code == 400 and message in answer.json()["error"]["message"]
