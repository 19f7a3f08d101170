"""Rows A1 (images route), A7: a prompt becomes a picture, through the official client and real Triton."""

import base64
import io
import urllib.request

import numpy as np
import openai
import pytest
from PIL import Image

from tests.support.stack import RunningStack

PROMPT = "a woman with long brown hair wearing a red striped t-shirt and blue plain trousers, in a meadow"


def picture(b64: str | None) -> Image.Image:
    assert b64 is not None
    return Image.open(io.BytesIO(base64.b64decode(b64)))


def test_default_request_answers_with_a_url_that_needs_no_key(client: openai.OpenAI) -> None:
    answer = client.images.generate(prompt=PROMPT, model="wardrobe")
    assert answer.data is not None
    url = answer.data[0].url
    assert url is not None
    with urllib.request.urlopen(url, timeout=10) as response:
        image = Image.open(io.BytesIO(response.read()))
    assert image.size == (128, 128)
    # A real picture, not a flat or noisy field: colours differ and neighbours agree.
    pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    assert pixels.std() > 20
    assert np.abs(np.diff(pixels, axis=1)).mean() < pixels.std()


@pytest.mark.parametrize(("output_format", "pil_format"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_formats(client: openai.OpenAI, output_format: str, pil_format: str) -> None:
    answer = client.images.generate(
        prompt=PROMPT,
        model="wardrobe",
        n=2,
        output_format=output_format,  # type: ignore[arg-type]
        response_format="b64_json",
        extra_body={"seed": 5, "num_inference_steps": 4},
    )
    assert answer.data is not None
    assert [picture(item.b64_json).format for item in answer.data] == [pil_format] * 2
    assert answer.usage is not None and answer.usage.total_tokens > 0


def test_image_i_of_n_equals_the_single_image_of_its_seed(client: openai.OpenAI) -> None:
    def generate(n: int, seed: int) -> list[bytes]:
        answer = client.images.generate(
            prompt=PROMPT,
            model="wardrobe",
            n=n,
            response_format="b64_json",
            extra_body={"seed": seed, "num_inference_steps": 4, "deterministic": True},
        )
        return [picture(item.b64_json).convert("RGB").tobytes() for item in answer.data or []]

    assert generate(3, 40)[2] == generate(1, 42)[0]


async def test_streaming_sends_true_intermediate_pictures(async_client: openai.AsyncOpenAI) -> None:
    stream = await async_client.images.generate(
        prompt=PROMPT,
        model="wardrobe",
        stream=True,
        partial_images=3,
        extra_body={"seed": 11, "num_inference_steps": 12},
    )
    partials, final = [], None
    async for event in stream:
        if event.type == "image_generation.partial_image":
            assert event.partial_image_index == len(partials)
            partials.append(np.asarray(picture(event.b64_json).convert("RGB"), dtype=np.float32))
        else:
            final = np.asarray(picture(event.b64_json).convert("RGB"), dtype=np.float32)
    assert final is not None and len(partials) == 3
    # Each estimate is nearer to the final picture than the one before it, and none is the final picture itself.
    distances = [float(np.abs(partial - final).mean()) for partial in partials]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] > 0


def test_models_route(client: openai.OpenAI) -> None:
    assert "wardrobe" in [model.id for model in client.models.list()]
    assert client.models.retrieve("wardrobe").object == "model"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"num_inference_steps": 0}, "num_inference_steps"),
        ({"scheduler": "magic"}, "scheduler"),
        ({"guidance_scale": 21}, "guidance_scale"),
        ({"colour": "red"}, "colour"),
        ({"partial_images": 2}, "partial_images"),
    ],
)
def test_a_mistake_is_a_400_that_names_the_field(client: openai.OpenAI, fields: dict[str, object], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt=PROMPT, model="wardrobe", extra_body=fields)
    assert caught.value.param == param


def test_unknown_model_is_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.images.generate(prompt=PROMPT, model="nonesuch")
    assert caught.value.param == "model"


def test_health_pages(stack: RunningStack) -> None:
    for path in ("/livez", "/readyz", "/health", "/metrics"):
        with urllib.request.urlopen(stack.url + path, timeout=10) as response:
            assert response.status == 200
