"""The embedded layered model takes held-out people apart, through HTTP and real Triton."""

import base64
import io
from typing import Any

import numpy as np
import openai
import pytest
from PIL import Image

from tests.support.stack import RunningStack
from wardrobe.evaluation.layers_score import SHEETS, LayersCase, LayersScores, heldout_layers, score_layers
from wardrobe.world.canvas import Pixels
from wardrobe.world.sheets import NAMES

_CASES = 6


def uri(pixels: Pixels) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def decoded(part: dict[str, Any]) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(part["b64_json"]))).convert("RGBA"))


def apart(client: openai.OpenAI, picture: Pixels, layers: int | str) -> dict[str, Any]:
    body = {"image": uri(picture), "layers": layers, "seed": 3, "response_format": "b64_json"}
    answer: Any = client.post("/images/layers", body=body, cast_to=object)
    return dict(answer)


@pytest.fixture(scope="module")
def cases() -> list[LayersCase]:
    return heldout_layers(_CASES)


@pytest.fixture(scope="module")
def scores(client: openai.OpenAI, cases: list[LayersCase]) -> LayersScores:
    answers = [apart(client, case.picture, len(SHEETS)) for case in cases]
    for case, answer in zip(cases, answers, strict=True):
        assert answer["recomposition_psnr"] is None
        assert (decoded(answer["composite"])[..., :3] == case.picture).all()
        assert tuple(part["name"] for part in answer["data"]) == SHEETS
    return score_layers(cases, [np.stack([decoded(part) for part in answer["data"]]) for answer in answers])


def test_every_layer_is_where_it_should_be(scores: LayersScores) -> None:
    assert scores.order >= 0.8
    for name in ("person", "body", "top", "head"):
        assert scores.of(name).soft_iou > 0.8, scores
    for sheet in scores.sheets:
        assert sheet.colour_error < 0.1, scores


@pytest.mark.parametrize("count", [2, 4, 6, 8])
def test_other_numbers_of_layers_have_names_of_their_own(
    client: openai.OpenAI, cases: list[LayersCase], count: int
) -> None:
    answer = apart(client, cases[0].picture, count)
    names = [part["name"] for part in answer["data"]]
    known = NAMES[min(count, 6) - 2] if count <= len(NAMES) + 1 else ()
    assert names[: len(known)] == list(known)
    assert len(names) == count
    person = np.stack([decoded(part) for part in answer["data"]])[1:, ..., 3].max(axis=0)
    truth = cases[0].truth[1:, ..., 3].max(axis=0)
    overlap = np.minimum(person, truth).sum(dtype=float) / np.maximum(person, truth).sum(dtype=float)
    assert overlap > 0.8


def test_it_serves_by_its_alias_and_is_never_the_default(client: openai.OpenAI, stack: RunningStack) -> None:
    models = {model.id for model in client.models.list().data}
    assert {"wardrobe", "wardrobe-layers"} <= models
    drawn = client.images.generate(prompt="a man in a city", response_format="b64_json", extra_body={"seed": 1})
    assert drawn.data
    with pytest.raises(openai.BadRequestError, match="/v1/images/layers"):
        client.images.generate(model="wardrobe-layers", prompt="a man in a city")
