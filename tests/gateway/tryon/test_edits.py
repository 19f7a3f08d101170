"""Try-on models behind /v1/images/edits, through the official client."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import openai
import pytest
from PIL import Image

from families.vision.joints import JOINTS
from gateway.api.generation_answer import AnswerFacts
from gateway.api.generation_order import StoredGeneration, generation_inputs, read_generation, write_generation
from gateway.api.services import attach_services, find_services
from gateway.domain.edits import Dressing, Edit
from gateway.domain.pictures import GenerateCommand
from gateway.domain.vision import Parse
from gateway.pipelines.tryon.edits import TryOnEdits
from tests.gateway.model_folder import write_model_folder
from tests.gateway.pictures import pixels_of
from tests.gateway.server import serve
from tests.gateway.tryon.world import MODEL, PNG, World, lying, pairs, png, truth, world, write_folder

PAIR = pairs(1)[0]
BLANK = np.full((128, 128, 3), 244, np.uint8)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, openai.OpenAI]]:
    folder: Path = tmp_path_factory.mktemp("edits")
    write_model_folder(folder / "models" / "wardrobe")
    write_folder(folder / "models" / MODEL)
    with world(folder / "world") as made, serve(folder, {"models.default_model": "wardrobe"}) as gateway:
        made.learn(PAIR.before, PAIR.garment, PAIR.after)
        made.parser.learn(BLANK, Parse(np.zeros((128, 128), np.uint8), np.zeros((len(JOINTS), 3), np.float32)))
        services = find_services(gateway.app)
        assert services is not None
        attach_services(gateway.app, replace(services, pipeline=TryOnEdits(made.pipeline, services.pipeline)))
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0, timeout=60) as client:
            yield made, client


@pytest.fixture()
def client(stage: tuple[World, openai.OpenAI]) -> openai.OpenAI:
    stage[0].drawer.drawings.clear()
    return stage[1]


def file(pixels: np.ndarray, name: str) -> io.BytesIO:
    made = io.BytesIO()
    Image.fromarray(pixels).save(made, "PNG")
    made.seek(0)
    made.name = name
    return made


def both() -> list[io.BytesIO]:
    return [file(truth(PAIR.before)[0], "person.png"), file(lying(PAIR.garment)[0], "garment.png")]


def test_an_edit_dresses_the_first_picture_in_the_second(
    client: openai.OpenAI, stage: tuple[World, openai.OpenAI]
) -> None:
    answer = client.images.edit(
        model=MODEL, image=both(), prompt="wear it", n=2, response_format="b64_json", extra_body={"seed": 7}
    )
    assert answer.data and answer.usage and answer.size == "128x128"  # type: ignore[comparison-overlap]
    person = truth(PAIR.before)[0]
    (drawing,) = stage[0].drawer.drawings
    assert drawing.seeds == (7, 8) and drawing.steps == 2
    for image in answer.data:
        after = pixels_of(image.b64_json)
        assert np.array_equal(after[~drawing.mask], person[~drawing.mask])
        assert (after != person).any()


@pytest.mark.parametrize("prompt", ["", " "])
def test_no_prompt_is_needed(client: openai.OpenAI, prompt: str) -> None:
    """OpenAI's client cannot leave it out, and here it says nothing."""
    assert client.images.edit(model=MODEL, image=both(), prompt=prompt).data
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(model="wardrobe", image=both()[:1], prompt=prompt)
    assert caught.value.param == "prompt"


def test_high_quality_is_premium(client: openai.OpenAI, stage: tuple[World, openai.OpenAI]) -> None:
    client.images.edit(model=MODEL, image=both(), prompt="wear it", quality="high", extra_body={"seed": 7})
    (drawing,) = stage[0].drawer.drawings
    assert drawing.seeds == (7, 8, 9, 10) and drawing.steps == 3
    asked = {"num_inference_steps": 5, "guidance_scale": 2.0}
    client.images.edit(model=MODEL, image=both(), prompt="wear it", extra_body=asked)
    assert (stage[0].drawer.drawings[-1].steps, stage[0].drawer.drawings[-1].guidance_scale) == (5, 2.0)


def test_a_mask_is_openais(client: openai.OpenAI, stage: tuple[World, openai.OpenAI]) -> None:
    alpha = np.full((128, 128), 255, np.uint8)
    alpha[50:80, 40:90] = 0
    mask = file(np.dstack([np.zeros((128, 128, 3), np.uint8), alpha]), "mask.png")
    client.images.edit(model=MODEL, image=both(), mask=mask, prompt="wear it")
    assert np.array_equal(stage[0].drawer.drawings[0].mask, alpha == 0)


def test_partial_images_are_streamed_on_the_whole_picture(client: openai.OpenAI) -> None:
    events = list(client.images.edit(model=MODEL, image=both(), prompt="wear it", stream=True, partial_images=1))
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]
    partial, completed = (pixels_of(event.b64_json) for event in events)
    assert partial.shape == completed.shape == (128, 128, 3) and (partial != completed).any()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"image": both()[:1]}, "image"),
        ({"image": [*both(), *both()]}, "image"),
        ({"extra_body": {"strength": 0.5}}, "strength"),
        ({"size": "256x256"}, "size"),
        ({"image": both()[::-1]}, "image[0]"),
        ({"image": [both()[0], file(BLANK, "blank.png")]}, "image[1]"),
    ],
)
def test_mistakes_name_their_field(client: openai.OpenAI, fields: dict[str, object], param: str) -> None:
    asked = {"model": MODEL, "image": both(), "prompt": "wear it"} | fields
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(**asked)  # type: ignore[call-overload]
    assert caught.value.param == param


def test_prompts_alone_are_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model=MODEL, prompt="a dress")
    assert caught.value.param == "model"


def test_other_models_edit_as_before(client: openai.OpenAI, stage: tuple[World, openai.OpenAI]) -> None:
    answer = client.images.edit(model="wardrobe", image=both()[:1], prompt="a dress")
    assert answer.data and not stage[0].drawer.drawings


def test_a_job_keeps_how_to_dress() -> None:
    images = (png(truth(PAIR.before)[0], "image"), png(lying(PAIR.garment)[0], "image"))
    command = GenerateCommand(
        model=MODEL, prompt="", negative_prompt="", seeds=(1,), steps=4, guidance_scale=1.0, scheduler="ddim",
        size=None, deterministic=False, partial_images=0, encoding=PNG,
        edit=Edit(images, dressing=Dressing(True, None, 2.0)),
    )  # fmt: skip
    written = write_generation(command, AnswerFacts(quality="high", safety_identifier=None)).model_dump_json()
    read = read_generation(StoredGeneration.model_validate_json(written), generation_inputs(command))
    assert read == command
