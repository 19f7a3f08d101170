"""`POST /v1/images/edits` and `/v1/images/variations` through the official client."""

import httpx
import numpy as np
import openai
import pytest

from gateway.pipelines.edit import FAITHFUL_MASKED_STRENGTH, FAITHFUL_STRENGTH, MASKED_STRENGTH, STRENGTH
from tests.gateway.pictures import file_of, mask_of, noise_picture, pixels_of
from tests.gateway.server import RunningGateway

PROMPT = "a blue dotted dress"


def outside(shape: tuple[int, ...], box: tuple[int, int, int, int]) -> np.ndarray:
    left, top, right, bottom = box
    kept = np.ones(shape[:2], dtype=bool)
    kept[top:bottom, left:right] = False
    return kept


def test_a_picture_is_the_start(client: openai.OpenAI, gateway: RunningGateway) -> None:
    source = noise_picture(128, 96)
    answer = client.images.edit(image=file_of(source), prompt=PROMPT, response_format="b64_json")
    (job,) = gateway.backend.jobs
    assert job.start is not None and job.start.mask is None and job.start.strength == STRENGTH
    assert job.start.latents.shape == (1, 4, 12, 16) and not job.references
    assert np.array_equal(job.start.latents[0, 0], np.asarray(source)[::8, ::8, 0] / np.float32(64) - 2)
    assert answer.data and pixels_of(answer.data[0].b64_json).shape == (96, 128, 3)
    assert answer.size == "128x96"  # type: ignore[comparison-overlap]
    assert answer.usage and answer.usage.input_tokens_details.image_tokens == 8 * 6


@pytest.mark.parametrize(
    ("fields", "masked", "strength"),
    [
        ({}, False, STRENGTH),
        ({"input_fidelity": "low"}, False, STRENGTH),
        ({"input_fidelity": "high"}, False, FAITHFUL_STRENGTH),
        ({}, True, MASKED_STRENGTH),
        ({"input_fidelity": "high"}, True, FAITHFUL_MASKED_STRENGTH),
        ({"extra_body": {"strength": 0.3}, "input_fidelity": "high"}, False, 0.3),
        ({"extra_body": {"strength": 0.3}}, True, 0.3),
        ({"extra_body": {"num_inference_steps": 1}, "input_fidelity": "high"}, False, 1.0),
    ],
)
def test_strength(
    client: openai.OpenAI, gateway: RunningGateway, fields: dict[str, object], masked: bool, strength: float
) -> None:
    mask = {"mask": file_of(mask_of(64, 64, (8, 8, 40, 40)))} if masked else {}
    client.images.edit(image=file_of(noise_picture(64, 64)), prompt=PROMPT, **mask, **fields)  # type: ignore[call-overload]
    start = gateway.backend.jobs[0].start
    assert start and start.strength == strength


@pytest.mark.parametrize("size", [(128, 128), (100, 75), (65, 200), (30, 40), (64, 600), (700, 700)])
def test_pixels_outside_the_mask_stay_exactly(
    client: openai.OpenAI, gateway: RunningGateway, size: tuple[int, int]
) -> None:
    width, height = size
    box = (width // 4, height // 4, width // 2, height // 2)
    source = noise_picture(width, height)
    answer = client.images.edit(
        image=file_of(source), mask=file_of(mask_of(width, height, box)), prompt=PROMPT, response_format="b64_json"
    )
    assert answer.data
    before, after = np.asarray(source), pixels_of(answer.data[0].b64_json)
    kept = outside(before.shape, box)
    assert after.shape == before.shape
    assert np.array_equal(after[kept], before[kept])
    assert (after[~kept] != before[~kept]).any(axis=-1).mean() > 0.9
    job = gateway.backend.jobs[0]
    assert job.start and job.start.mask is not None
    assert job.start.mask.shape == (job.latent_height, job.latent_width)
    assert 0 < job.start.mask.mean() < 1


def test_all_pictures_of_an_edit_keep_what_is_outside(client: openai.OpenAI) -> None:
    source, box = noise_picture(96, 96), (10, 20, 50, 70)
    answer = client.images.edit(
        image=file_of(source, "WEBP", lossless=True),
        mask=file_of(mask_of(96, 96, box)),
        prompt=PROMPT,
        n=3,
        response_format="b64_json",
        extra_body={"seed": 5},
    )
    assert answer.data and [item.seed for item in answer.data] == [5, 6, 7]  # type: ignore[attr-defined]
    kept = outside((96, 96), box)
    pictures = [pixels_of(item.b64_json) for item in answer.data]
    for picture in pictures:
        assert np.array_equal(picture[kept], np.asarray(source)[kept])
    assert (pictures[0] != pictures[1]).any()


def test_the_pictures_own_transparency_is_a_mask(client: openai.OpenAI, gateway: RunningGateway) -> None:
    source, box = noise_picture(64, 64), (16, 16, 40, 48)
    cut = source.convert("RGBA")
    cut.putalpha(mask_of(64, 64, box).getchannel("A"))
    answer = client.images.edit(image=file_of(cut), prompt=PROMPT, response_format="b64_json")
    start = gateway.backend.jobs[0].start
    assert start and start.mask is not None
    wanted = np.zeros((8, 8), dtype=np.float32)
    wanted[2:6, 2:5] = 1
    assert np.array_equal(start.mask, wanted)
    kept = outside((64, 64), box)
    assert answer.data
    assert np.array_equal(pixels_of(answer.data[0].b64_json)[kept], np.asarray(source)[kept])


def test_a_size_scales_without_squashing(client: openai.OpenAI, gateway: RunningGateway) -> None:
    answer = client.images.edit(
        image=file_of(noise_picture(300, 100)),
        prompt=PROMPT,
        size="128x64",  # type: ignore[arg-type]
        response_format="b64_json",
    )
    assert answer.data and pixels_of(answer.data[0].b64_json).shape == (64, 128, 3)
    assert "300x100" in answer.warnings[0]  # type: ignore[attr-defined]
    assert gateway.backend.jobs[0].latent_width == 16


def test_every_field_of_ours_reaches_the_backend(client: openai.OpenAI, gateway: RunningGateway) -> None:
    extra = {
        "negative_prompt": "a man",
        "num_inference_steps": 7,
        "guidance_scale": 3.5,
        "seed": 10,
        "scheduler": "euler_a",
        "deterministic": True,
        "guidance_interval": [0.25, 0.75],
        "step_cache": 0.1,
        "strength": 0.5,
    }
    answer = client.images.edit(
        image=[file_of(noise_picture(64, 64))],
        prompt=PROMPT,
        model="sd/wardrobe",
        n=2,
        user="someone",
        output_format="jpeg",
        output_compression=80,
        background="auto",
        quality="high",
        response_format="b64_json",
        extra_body=extra,
    )
    (job,) = gateway.backend.jobs
    assert (job.steps, job.guidance_scale, job.scheduler, job.deterministic) == (7, 3.5, "euler_a", True)
    assert (job.seeds, job.guidance_interval, job.step_cache) == ((10, 11), (0.25, 0.75), 0.1)
    assert answer.output_format == "jpeg" and answer.safety_identifier == "someone"


def test_generations_take_the_interval_and_the_cache(client: openai.OpenAI, gateway: RunningGateway) -> None:
    client.images.generate(prompt=PROMPT, extra_body={"guidance_interval": [0, 0.5], "step_cache": 0})
    (job,) = gateway.backend.jobs
    assert (job.guidance_interval, job.step_cache, job.start, job.references) == ((0.0, 0.5), 0.0, None, ())


def test_a_streamed_edit(client: openai.OpenAI, gateway: RunningGateway) -> None:
    source, box = noise_picture(70, 90), (10, 10, 60, 60)
    stream = client.images.edit(
        image=file_of(source),
        mask=file_of(mask_of(70, 90, box)),
        prompt=PROMPT,
        stream=True,
        partial_images=2,
        extra_body={"num_inference_steps": 10, "strength": 0.6},
    )
    events = list(stream)
    assert [event.type for event in events] == ["image_edit.partial_image"] * 2 + ["image_edit.completed"]
    kept = outside((90, 70), box)
    for event in events:
        assert event.size == "70x90"
        assert np.array_equal(pixels_of(event.b64_json)[kept], np.asarray(source)[kept])
    # Six of ten steps are done: estimates come after steps that there are.
    assert gateway.backend.jobs[0].preview_steps == (2, 4)
    assert events[-1].usage.input_tokens_details.image_tokens > 0  # type: ignore[union-attr]


async def test_a_streamed_edit_asynchronously(async_client: openai.AsyncOpenAI) -> None:
    stream = await async_client.images.edit(image=file_of(noise_picture(64, 64)), prompt=PROMPT, stream=True)
    assert [event.type async for event in stream] == ["image_edit.completed"]


def test_variations(client: openai.OpenAI, gateway: RunningGateway) -> None:
    answer = client.images.create_variation(image=file_of(noise_picture(72, 64)), n=2, response_format="b64_json")
    (job,) = gateway.backend.jobs
    assert job.start and job.start.strength == 0.6 and len(job.seeds) == 2
    assert answer.data and [pixels_of(item.b64_json).shape for item in answer.data] == [(64, 72, 3)] * 2
    assert answer.usage and answer.usage.input_tokens_details.text_tokens == 0


def test_a_link_is_answered_without_b64(client: openai.OpenAI) -> None:
    answer = client.images.edit(image=file_of(noise_picture(64, 64)), prompt=PROMPT)
    assert answer.data and answer.data[0].url
    assert httpx.get(answer.data[0].url).headers["content-type"] == "image/png"


def test_a_release_that_is_replaced_is_begun_again(client: openai.OpenAI, gateway: RunningGateway) -> None:
    gateway.backend.replace_during_denoise, gateway.backend.fail_after_steps = True, 1
    answer = client.images.edit(image=file_of(noise_picture(64, 64)), prompt=PROMPT, response_format="b64_json")
    assert answer.data and [job.release.version for job in gateway.backend.jobs] == ["1", "2"]
    assert all(job.start is not None for job in gateway.backend.jobs)
