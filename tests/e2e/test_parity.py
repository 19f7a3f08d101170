"""Our pictures against diffusers' own pipeline on the same weights, seed, scheduler and steps."""

import base64
import io
from collections.abc import Iterator

import numpy as np
import openai
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from engine.samplers.schedulers import build_scheduler
from families.catalog import load_source
from families.schedulers import SchedulerName
from tests.support.parity import measured
from tests.support.stack import PROJECT, RunningStack, start_stack

pytestmark = pytest.mark.parity("Wardrobe, the embedded model", "StableDiffusionPipeline")
FOLDER = PROJECT / "wardrobe" / "weights" / "wardrobe"
PROMPT = "a woman with long brown hair wearing a red striped t-shirt and blue plain trousers, in a meadow"
NEGATIVE = "a man"
STEPS = 7
SCHEDULERS = [name for name in SchedulerName if name is not SchedulerName.FLOW_MATCH_EULER]


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    loaded = StableDiffusionPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32, safety_checker=None)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="module")
def torch_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """The torch runtime, in one process: neither ONNX nor Triton is in the way."""
    environment = {"TRIPTYCH_BACKEND__RUNTIME": "torch"}
    with start_stack(tmp_path_factory.mktemp("torch"), backend="inprocess", environment=environment) as running:
        yield openai.OpenAI(base_url=f"{running.url}/v1", api_key="unused", max_retries=0, timeout=120)


def reference(pipeline: StableDiffusionPipeline, scheduler: SchedulerName, guidance: float, n: int) -> list[np.ndarray]:
    pipeline.scheduler = build_scheduler(load_source(FOLDER).manifest.noise, scheduler)
    generators = [torch.Generator("cpu").manual_seed(900 + index) for index in range(n)]
    result = pipeline(
        PROMPT,
        negative_prompt=NEGATIVE,
        num_images_per_prompt=n,
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        width=128,
        height=96,
        generator=generators,
    )
    return [np.asarray(image, dtype=np.int16) for image in result.images]


def ours(client: openai.OpenAI, scheduler: SchedulerName, guidance: float, n: int) -> list[np.ndarray]:
    answer = client.images.generate(
        prompt=PROMPT,
        model="wardrobe",
        n=n,
        size="128x96",  # type: ignore[arg-type]
        response_format="b64_json",
        extra_body={
            "negative_prompt": NEGATIVE,
            "num_inference_steps": STEPS,
            "guidance_scale": guidance,
            "scheduler": scheduler.value,
            "seed": 900,
        },
    )
    assert answer.data is not None
    pictures = (Image.open(io.BytesIO(base64.b64decode(item.b64_json or ""))).convert("RGB") for item in answer.data)
    return [np.asarray(picture, dtype=np.int16) for picture in pictures]


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda name: name.value)
def test_onnxruntime_on_triton(
    client: openai.OpenAI, pipeline: StableDiffusionPipeline, scheduler: SchedulerName
) -> None:
    for mine, theirs in zip(ours(client, scheduler, 4.0, 2), reference(pipeline, scheduler, 4.0, 2), strict=True):
        assert measured(int(np.abs(mine - theirs).max())) <= 2


@pytest.mark.parametrize("scheduler", SCHEDULERS[:8], ids=lambda name: name.value)
def test_torch(torch_client: openai.OpenAI, pipeline: StableDiffusionPipeline, scheduler: SchedulerName) -> None:
    (mine,) = ours(torch_client, scheduler, 4.0, 1)
    assert measured(int(np.abs(mine - reference(pipeline, scheduler, 4.0, 1)[0]).max())) <= 2


def test_without_guidance(client: openai.OpenAI, pipeline: StableDiffusionPipeline) -> None:
    (mine,) = ours(client, SchedulerName.EULER, 1.0, 1)
    assert measured(int(np.abs(mine - reference(pipeline, SchedulerName.EULER, 1.0, 1)[0]).max())) <= 2


def test_in_process_gives_tritons_bytes(client: openai.OpenAI, tmp_path_factory: pytest.TempPathFactory) -> None:
    asks = ("euler", "dpm++_sde_karras", "heun")

    def draw(one: openai.OpenAI) -> list[bytes]:
        answers = (
            one.images.generate(
                prompt=PROMPT,
                model="wardrobe",
                response_format="b64_json",
                extra_body={"seed": 3, "num_inference_steps": 6, "scheduler": name, "deterministic": True},
            )
            for name in asks
        )
        return [base64.b64decode((answer.data or [])[0].b64_json or "") for answer in answers]

    with start_stack(tmp_path_factory.mktemp("inprocess"), backend="inprocess") as running:
        other = openai.OpenAI(base_url=f"{running.url}/v1", api_key="unused", max_retries=0, timeout=120)
        assert draw(other) == draw(client)


def test_the_stack_fixture_is_triton(stack: RunningStack) -> None:
    assert stack.state().triton_pid is not None
