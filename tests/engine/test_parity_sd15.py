"""The whole stack draws the very pictures of diffusers' StableDiffusionPipeline."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
)
from PIL import Image
from torch import Generator

from export.verification.threads import torch_threads
from families.catalog import load_source
from tests.support.tiny_sd15 import write_tiny_sd15
from tests.support.weighted_prompts import Encoder, Words, encode, marked, pieces_of
from tests.support.whole import Wanted, Whole, open_whole, worst

TOLERANCE = 2
pytestmark = pytest.mark.parity("Stable Diffusion 1.x", "StableDiffusionPipeline")
SCHEDULERS = {
    "ddim": (DDIMScheduler, {}),
    "pndm": (PNDMScheduler, {}),
    "euler_a": (EulerAncestralDiscreteScheduler, {}),
    "heun": (HeunDiscreteScheduler, {}),
    "dpm++_karras": (DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    "dpm++_sde_karras": (
        DPMSolverMultistepScheduler,
        {"use_karras_sigmas": True, "algorithm_type": "sde-dpmsolver++"},
    ),
}
GUIDED = Wanted("a woman in a red striped dress", 64, 64, guidance=7.5, negative="a man, blue", scheduler="ddim")
WANTED = (
    GUIDED,
    replace(GUIDED, guidance=1.0),
    replace(GUIDED, width=104, height=72, seeds=(1, 2, 3), negative=""),
    *(replace(GUIDED, scheduler=name, steps=4) for name in SCHEDULERS if name != "ddim"),
)
SHORT: Words = [("a", 1), ("red, striped", 1.5), ("dress in", 1), ("a meadow", 0.6)]
LONG: Words = [
    ("a woman in a red striped dress, " * 15, 1),
    ("with long brown hair", 1.3),
    ("in a green meadow " * 8, 1),
]


class Both:
    """The stack and the reference on one folder of weights."""

    def __init__(self, whole: Whole, folder: Path) -> None:
        self.whole = whole
        self.pipeline = StableDiffusionPipeline.from_pretrained(folder)
        self.pipeline.set_progress_bar_config(disable=True)

    def reference(self, wanted: Wanted, words: Words | None = None) -> list[Image.Image]:
        """`words`: instead of the prompt, which is then not read by the pipeline itself."""
        kind, changes = SCHEDULERS[wanted.scheduler or ""]
        self.pipeline.scheduler = kind.from_config(self.pipeline.scheduler.config, **changes)
        prompts = {"prompt": wanted.prompt, "negative_prompt": wanted.negative}
        if words is not None:
            encoder = Encoder(self.pipeline.tokenizer, self.pipeline.text_encoder)
            count = len(pieces_of(encoder, words))
            prompts = {
                "prompt_embeds": encode([encoder], words, count).context,
                "negative_prompt_embeds": encode([encoder], [(wanted.negative, 1)], count).context,
            }
        with torch_threads(1):
            images: list[Image.Image] = self.pipeline(
                **prompts,
                height=wanted.height,
                width=wanted.width,
                num_inference_steps=wanted.steps,
                guidance_scale=wanted.guidance,
                num_images_per_prompt=len(wanted.seeds),
                generator=[Generator().manual_seed(seed) for seed in wanted.seeds],
            ).images
        return images


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root = tmp_path_factory.mktemp("sd15")
    folder = write_tiny_sd15(root / "sd15")
    async with open_whole(load_source(folder), root / "repository") as whole:
        yield Both(whole, folder)


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
async def test_pictures_are_diffusers_own(both: Both, wanted: Wanted) -> None:
    assert worst(await both.whole.draw(wanted), both.reference(wanted)) <= TOLERANCE


@pytest.mark.parametrize(("words", "pieces"), [(SHORT, 1), (LONG, 3)], ids=["weighted", "long and weighted"])
@pytest.mark.parametrize("seeds", [(1,), (2, 3, 4)], ids=["one", "three"])
async def test_long_and_weighted_prompts(both: Both, words: Words, pieces: int, seeds: tuple[int, ...]) -> None:
    wanted = replace(GUIDED, prompt=marked(words), seeds=seeds, width=72, height=88)
    assert len(both.whole.model.tokenizer.encode(wanted.prompt).pieces) == pieces
    assert worst(await both.whole.draw(wanted), both.reference(wanted, words)) <= TOLERANCE


async def test_every_word_and_every_weight_counts(both: Both) -> None:
    """Parity would hold as well if both sides ignored them."""
    long, plain = marked(LONG), " ".join(text for text, _ in LONG)
    prompts = (long, plain, long.replace("meadow", "street"), long.replace(":1.3", ":1.8"))
    pictures = [await both.whole.draw(replace(GUIDED, prompt=prompt)) for prompt in prompts]
    for other in pictures[1:]:
        assert np.abs(pictures[0].astype(int) - other).max() > TOLERANCE
    less_guided = await both.whole.draw(replace(GUIDED, prompt=long, guidance=4))
    other_negative = await both.whole.draw(replace(GUIDED, prompt=long, negative="striped"))
    assert np.abs(pictures[0].astype(int) - less_guided).max() > TOLERANCE
    assert np.abs(pictures[0].astype(int) - other_negative).max() > TOLERANCE
