"""`POST /v1/images/generations` through the official client."""

import base64
import io
import json
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from families.batching import PROMPT_PIECES
from gateway.pipelines.drawing import preview_steps
from tests.gateway.model_folder import WARDROBE, prompt_length
from tests.gateway.server import RunningGateway, serve

PROMPT = "a woman in a red striped dress"


def picture(b64: str | None) -> Image.Image:
    assert b64
    return Image.open(io.BytesIO(base64.b64decode(b64)))


def test_default_answer_is_a_link(client: openai.OpenAI, gateway: RunningGateway) -> None:
    answer = client.images.generate(prompt=PROMPT)
    assert answer.data and answer.data[0].url and answer.data[0].b64_json is None
    assert answer.data[0].url.startswith(gateway.url + "/files/")
    response = httpx.get(answer.data[0].url)
    assert response.headers["content-type"] == "image/png"
    assert response.headers["cache-control"].startswith("private, max-age=")
    assert Image.open(io.BytesIO(response.content)).size == (128, 128)
    assert (answer.size, answer.quality, answer.output_format, answer.background) == (
        "128x128",
        "medium",
        "png",
        "opaque",
    )


def test_every_field_of_ours_reaches_the_backend(client: openai.OpenAI, gateway: RunningGateway) -> None:
    extra = {
        "negative_prompt": "a man",
        "num_inference_steps": 7,
        "guidance_scale": 3.5,
        "seed": 10,
        "scheduler": "euler_a",
        "deterministic": True,
    }
    answer = client.images.generate(
        prompt=PROMPT,
        model="sd/wardrobe",
        n=3,
        size="96x128",  # type: ignore[arg-type]
        user="someone",
        extra_body=extra,
        response_format="b64_json",
    )
    (job,) = gateway.backend.jobs
    assert (job.steps, job.guidance_scale, job.scheduler, job.deterministic) == (7, 3.5, "euler_a", True)
    assert (job.seeds, job.latent_width, job.latent_height) == ((10, 11, 12), 12, 16)
    assert [condition.array.shape[0] for condition in job.conditions] == [2]
    assert answer.data and [picture(item.b64_json).size for item in answer.data] == [(96, 128)] * 3
    assert [item.seed for item in answer.data] == [10, 11, 12]  # type: ignore[attr-defined]
    assert answer.safety_identifier == "someone"


def test_picture_i_is_the_picture_of_its_seed(client: openai.OpenAI) -> None:
    many = client.images.generate(prompt=PROMPT, n=3, response_format="b64_json", extra_body={"seed": 40})
    one = client.images.generate(prompt=PROMPT, response_format="b64_json", extra_body={"seed": 42})
    assert many.data and one.data
    assert many.data[2].b64_json == one.data[0].b64_json


def test_the_servers_own_seed_is_for_requests_without_one(tmp_path: Path) -> None:
    with serve(tmp_path, {"generation.default_seed": 7}) as gateway:
        client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0)
        silent = [client.images.generate(prompt=PROMPT, response_format="b64_json") for _ in range(2)]
        named = client.images.generate(prompt=PROMPT, response_format="b64_json", extra_body={"seed": 8})
    assert [answer.data[0].seed for answer in (*silent, named) if answer.data] == [7, 7, 8]  # type: ignore[attr-defined]
    first, second = (picture(answer.data[0].b64_json) for answer in silent if answer.data)
    assert first.tobytes() == second.tobytes()


def test_random_seeds_differ_and_are_told(client: openai.OpenAI) -> None:
    answers = [client.images.generate(prompt=PROMPT, response_format="b64_json") for _ in range(2)]
    seeds = [answer.data[0].seed for answer in answers if answer.data]  # type: ignore[attr-defined]
    assert seeds[0] != seeds[1]
    again = client.images.generate(prompt=PROMPT, response_format="b64_json", extra_body={"seed": seeds[0]})
    assert again.data and answers[0].data and again.data[0].b64_json == answers[0].data[0].b64_json


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_formats(client: openai.OpenAI, output_format: str) -> None:
    answer = client.images.generate(
        prompt=PROMPT,
        output_format=output_format,  # type: ignore[arg-type]
        response_format="b64_json",
    )
    assert answer.output_format == output_format
    assert answer.data and picture(answer.data[0].b64_json).format == output_format.upper()


def test_compression_makes_files_smaller(client: openai.OpenAI) -> None:
    sizes = []
    for level in (100, 20):
        answer = client.images.generate(
            prompt=PROMPT,
            output_format="jpeg",
            output_compression=level,
            response_format="b64_json",
            extra_body={"seed": 1},
        )
        assert answer.data and answer.data[0].b64_json
        sizes.append(len(answer.data[0].b64_json))
    assert sizes[1] < sizes[0]


def test_png_carries_its_parameters(client: openai.OpenAI) -> None:
    prompt = "a wömän\nin a \x00 dress 👗"
    answer = client.images.generate(prompt=prompt, response_format="b64_json", extra_body={"seed": 5})
    assert answer.data
    text = picture(answer.data[0].b64_json).text["parameters"]  # type: ignore[attr-defined]
    assert "Seed: 5" in text and "👗" in text


@pytest.mark.parametrize(
    ("quality", "steps", "stated"),
    [("auto", 25, "medium"), ("standard", 25, "medium"), ("low", 13, "low"), ("hd", 38, "high"), ("max", 75, "max")],
)
def test_quality_sets_steps(
    client: openai.OpenAI, gateway: RunningGateway, quality: str, steps: int, stated: str
) -> None:
    gateway.backend.step_seconds = 0
    answer = client.images.generate(prompt=PROMPT, quality=quality)  # type: ignore[arg-type]
    assert gateway.backend.jobs[0].steps == steps
    assert answer.quality == stated


@pytest.mark.parametrize(("scale", "rows"), [(0, 1), (1, 1), (1.01, 2)])
def test_guidance_up_to_one_sends_the_prompt_alone(
    client: openai.OpenAI, gateway: RunningGateway, scale: float, rows: int
) -> None:
    client.images.generate(prompt=f"{PROMPT} {scale}", extra_body={"guidance_scale": scale, "num_inference_steps": 1})
    assert gateway.backend.jobs[0].conditions[0].array.shape[0] == rows


def test_usage_counts_tokens_and_patches(client: openai.OpenAI) -> None:
    usage = client.images.generate(prompt="a red dress", n=2, extra_body={"num_inference_steps": 1}).usage
    assert usage
    assert usage.output_tokens == 2 * 8 * 8
    assert 3 <= usage.input_tokens == usage.input_tokens_details.text_tokens
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


def test_a_cut_prompt_is_told(client: openai.OpenAI) -> None:
    answer = client.images.generate(prompt="dress " * 500, extra_body={"num_inference_steps": 1})
    (warning,) = answer.warnings  # type: ignore[attr-defined]
    assert warning.startswith("prompt was cut")
    assert answer.usage and answer.usage.input_tokens == PROMPT_PIECES * (prompt_length(WARDROBE) - 2)


def test_null_means_default(http: httpx.Client) -> None:
    body = {"prompt": PROMPT, "n": None, "size": None, "seed": None, "quality": None, "stream": None, "scheduler": None}
    assert http.post("/v1/images/generations", json=body).status_code == 200


async def test_async_client(async_client: openai.AsyncOpenAI) -> None:
    answer = await async_client.images.generate(prompt=PROMPT, extra_body={"num_inference_steps": 2})
    assert answer.data and answer.data[0].url


def test_repeated_prompt_is_encoded_once(client: openai.OpenAI, gateway: RunningGateway) -> None:
    for _ in range(3):
        client.images.generate(prompt="a prompt of its own", extra_body={"num_inference_steps": 1})
    assert len(gateway.backend.encoded) == 1


def test_streaming_with_partial_images(client: openai.OpenAI, gateway: RunningGateway) -> None:
    stream = client.images.generate(
        prompt=PROMPT, stream=True, partial_images=3, extra_body={"seed": 3, "num_inference_steps": 20}
    )
    events = list(stream)
    assert [event.type for event in events] == ["image_generation.partial_image"] * 3 + ["image_generation.completed"]
    assert [event.partial_image_index for event in events[:3]] == [0, 1, 2]  # type: ignore[union-attr]
    assert len({event.b64_json for event in events}) == 4
    assert all(picture(event.b64_json).size == (128, 128) for event in events)
    last = events[-1]
    assert last.type == "image_generation.completed"
    assert last.usage.total_tokens == last.usage.input_tokens + last.usage.output_tokens
    assert (last.size, last.quality, last.output_format, last.background) == ("128x128", "medium", "png", "opaque")
    assert gateway.backend.jobs[0].preview_steps == (5, 10, 15)
    whole = client.images.generate(
        prompt=PROMPT, response_format="b64_json", extra_body={"seed": 3, "num_inference_steps": 20}
    )
    assert whole.data and whole.data[0].b64_json == last.b64_json


async def test_streaming_several_pictures_asynchronously(async_client: openai.AsyncOpenAI) -> None:
    stream = await async_client.images.generate(
        prompt=PROMPT, n=2, stream=True, partial_images=1, response_format="url", extra_body={"num_inference_steps": 4}
    )
    events = [event async for event in stream]
    assert [(event.type[17:], event.image_index) for event in events] == [  # type: ignore[union-attr]
        ("partial_image", 0),
        ("partial_image", 1),
        ("completed", 0),
        ("completed", 1),
    ]
    finished = events[2:]
    assert all(event.url.startswith("http") for event in finished)  # type: ignore[union-attr]
    assert [event.usage.output_tokens for event in finished] == [64, 64]  # type: ignore[union-attr]
    assert finished[1].usage.input_tokens == 0  # type: ignore[union-attr]


def test_events_as_they_are_on_the_wire(http: httpx.Client) -> None:
    body = {"prompt": PROMPT, "stream": True, "num_inference_steps": 2}
    answer = http.post("/v1/images/generations", json=body)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = [block for block in answer.text.split("\n\n") if block.startswith("event: ")]
    (event,) = events
    name, data = event.split("\n")
    assert name == "event: image_generation.completed"
    assert json.loads(data.removeprefix("data: "))["type"] == "image_generation.completed"


def test_preview_steps_are_spread_and_never_last() -> None:
    assert preview_steps(3, 20) == (5, 10, 15)
    assert preview_steps(3, 3) == (1, 2)
    assert preview_steps(3, 1) == ()
    assert preview_steps(0, 20) == ()
    for steps in range(1, 151):
        for partial_images in range(4):
            chosen = preview_steps(partial_images, steps)
            assert len(chosen) == min(partial_images, steps - 1)
            assert all(1 <= step < steps for step in chosen)


def test_models(client: openai.OpenAI, http: httpx.Client) -> None:
    assert [model.id for model in client.models.list()] == ["wardrobe"]
    assert client.models.retrieve("wardrobe").id == client.models.retrieve("sd/wardrobe").id == "wardrobe"
    listed = http.get("/v1/models").json()["data"][0]
    assert listed["owned_by"] == listed["ownedBy"]
    with pytest.raises(openai.NotFoundError, match="available models: wardrobe"):
        client.models.retrieve("sd/other")


def test_probes(http: httpx.Client, gateway: RunningGateway) -> None:
    assert http.get("/livez").json() == {"status": "alive"}
    assert http.get("/readyz").status_code == 200
    health = http.get("/health").json()
    assert health["status"] == "ok" and health["models"] == ["wardrobe"]
    gateway.backend.is_ready = False
    assert http.get("/readyz").status_code == 503
    assert http.get("/health").json()["status"] == "degraded"


def test_metrics(http: httpx.Client) -> None:
    http.post("/v1/images/generations", json={"prompt": PROMPT, "num_inference_steps": 1})
    text = http.get("/metrics").text
    for stage in ("text_encode", "denoise", "decode", "encode_image", "queue"):
        assert f'triptych_stage_seconds_count{{stage="{stage}"}}' in text
    assert 'route="/v1/images/generations",status="200"' in text
    assert 'triptych_generations_total{outcome="completed"}' in text
    assert "triptych_generations_active 0.0" in text


def test_an_estimate_is_not_the_final_picture(client: openai.OpenAI) -> None:
    stream = client.images.generate(
        prompt=PROMPT, stream=True, partial_images=1, extra_body={"seed": 3, "num_inference_steps": 2}
    )
    first, last = (np.asarray(picture(event.b64_json)) for event in stream)
    assert (first != last).any()
