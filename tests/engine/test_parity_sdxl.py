"""The whole stack draws the very pictures of diffusers' StableDiffusionXLPipeline."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
)
from PIL import Image
from torch import Generator

from export.verification.threads import torch_threads
from families.catalog import load_source
from tests.support.tiny_sdxl import write_tiny_sdxl
from tests.support.weighted_prompts import Encoder, Words, encode, marked, pieces_of
from tests.support.whole import Wanted, Whole, open_whole, worst

TOLERANCE = 2
pytestmark = pytest.mark.parity("SDXL", "StableDiffusionXLPipeline")
_PENULTIMATE = -2
SCHEDULERS = {
    "euler": (EulerDiscreteScheduler, {}),
    "euler_a": (EulerAncestralDiscreteScheduler, {}),
    "dpm++_karras": (DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
}
GUIDED = Wanted("a woman in a red striped dress", 64, 64, guidance=5.0, negative="a man, blue")
WANTED = (
    GUIDED,
    replace(GUIDED, negative=""),
    replace(GUIDED, guidance=1.0),
    replace(GUIDED, width=104, height=72, seeds=(1, 2, 3)),
    *(replace(GUIDED, scheduler=name, steps=4) for name in SCHEDULERS if name != "euler"),
)
TURBO = (
    Wanted("a woman in a red striped dress", 64, 64, guidance=1.0, steps=1),
    Wanted("a man", 72, 96, guidance=1.0, steps=4, seeds=(5, 6)),
)
SHORT: Words = [("a", 1), ("red, striped", 1.5), ("dress in", 1), ("a meadow", 0.6)]
LONG: Words = [("a woman in a red striped dress, " * 15, 1), ("with long brown hair", 1.3), ("in a meadow " * 10, 1)]


class Both:
    """The stack and the reference on one folder of weights."""

    def __init__(self, whole: Whole, folder: Path) -> None:
        self.whole = whole
        self.pipeline = StableDiffusionXLPipeline.from_pretrained(folder)
        self.pipeline.set_progress_bar_config(disable=True)
        self.declared = self.pipeline.scheduler

    def reference(self, wanted: Wanted, words: Words | None = None) -> list[Image.Image]:
        """`words`: instead of the prompt, which is then not read by the pipeline itself."""
        self.pipeline.scheduler = self.declared
        if wanted.scheduler is not None:
            kind, changes = SCHEDULERS[wanted.scheduler]
            self.pipeline.scheduler = kind.from_config(self.declared.config, **changes)
        with torch_threads(1):
            images: list[Image.Image] = self.pipeline(
                **self._prompts(wanted, words),
                height=wanted.height,
                width=wanted.width,
                num_inference_steps=wanted.steps,
                guidance_scale=wanted.guidance,
                num_images_per_prompt=len(wanted.seeds),
                generator=[Generator().manual_seed(seed) for seed in wanted.seeds],
            ).images
        return images

    def _prompts(self, wanted: Wanted, words: Words | None) -> dict[str, object]:
        if words is None:
            return {"prompt": wanted.prompt, "negative_prompt": wanted.negative or None}
        pipe = self.pipeline
        encoders = [
            Encoder(pipe.tokenizer, pipe.text_encoder, _PENULTIMATE),
            Encoder(pipe.tokenizer_2, pipe.text_encoder_2, _PENULTIMATE),
        ]
        count = len(pieces_of(encoders[0], words))
        positive, negative = (encode(encoders, text, count) for text in (words, [(wanted.negative, 1.0)]))
        return {
            "prompt_embeds": positive.context,
            "pooled_prompt_embeds": positive.pooled,
            "negative_prompt_embeds": negative.context,
            "negative_pooled_prompt_embeds": negative.pooled,
        }


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root = tmp_path_factory.mktemp("sdxl")
    folder = write_tiny_sdxl(root / "sdxl")
    async with open_whole(load_source(folder), root / "repository") as whole:
        yield Both(whole, folder)


@pytest.fixture(scope="module")
async def turbo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root = tmp_path_factory.mktemp("turbo")
    folder = write_tiny_sdxl(root / "turbo", turbo=True)
    async with open_whole(load_source(folder), root / "repository") as whole:
        yield Both(whole, folder)


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
async def test_pictures_are_diffusers_own(both: Both, wanted: Wanted) -> None:
    assert worst(await both.whole.draw(wanted), both.reference(wanted)) <= TOLERANCE


@pytest.mark.parametrize("wanted", TURBO, ids=lambda wanted: wanted.name)
async def test_turbo_models(turbo: Both, wanted: Wanted) -> None:
    assert worst(await turbo.whole.draw(wanted), turbo.reference(wanted)) <= TOLERANCE


@pytest.mark.parametrize(("words", "pieces"), [(SHORT, 1), (LONG, 3)], ids=["weighted", "long and weighted"])
@pytest.mark.parametrize("seeds", [(1,), (2, 3, 4)], ids=["one", "three"])
async def test_long_and_weighted_prompts(both: Both, words: Words, pieces: int, seeds: tuple[int, ...]) -> None:
    wanted = replace(GUIDED, prompt=marked(words), seeds=seeds, width=72, height=88)
    assert len(both.whole.model.tokenizer.encode(wanted.prompt).pieces) == pieces
    assert worst(await both.whole.draw(wanted), both.reference(wanted, words)) <= TOLERANCE


async def test_words_weights_and_sizes_count(both: Both) -> None:
    """Parity would hold as well if both sides ignored them."""
    long = marked(LONG)
    prompts = (long, long.replace("meadow", "street"), long.replace(":1.3", ":1.8"))
    pictures = [await both.whole.draw(replace(GUIDED, prompt=prompt)) for prompt in prompts]
    pictures += [await both.whole.draw(replace(GUIDED, prompt=long, negative=negative)) for negative in ("", "striped")]
    for other in pictures[1:]:
        assert np.abs(pictures[0].astype(int) - other).max() > TOLERANCE
