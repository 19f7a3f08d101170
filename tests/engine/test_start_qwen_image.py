"""Qwen-Image from pictures: the whole stack draws what diffusers' pipelines draw that begin from one."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import DiffusionPipeline, QwenImageImg2ImgPipeline, QwenImageInpaintPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_img2img, pipeline_qwenimage_inpaint
from PIL import Image
from torch import Generator

from families.catalog import load_source
from gateway.domain.backend import Pixels
from tests.engine.test_start import mask_of, of_the_mode, picture_of
from tests.support.beginnings import Beginning, draw_from, mask_picture
from tests.support.tiny_qwen_image import write_tiny_qwen_image
from tests.support.whole import Wanted, Whole, open_whole, worst

TOLERANCE = 2
REFERENCES = {False: QwenImageImg2ImgPipeline, True: QwenImageInpaintPipeline}
"""By whether they take a mask."""
CELL = 8
"""Of the autoencoder; the transformer's tokens have four, and a mask's border may cross them."""
PLAIN = Wanted("a person in a red dress", 64, 64, steps=5)
GUIDED = Wanted("a person in blue jeans, plain wall", 80, 112, steps=5, guidance=4.0, negative=" ")
SEVERAL = Wanted("a striped top", 112, 80, seeds=(1, 2, 3), steps=5, guidance=2.5, negative="green")
CASES = [
    Beginning(wanted, strength, masked)
    for wanted, strength in (
        *((PLAIN, strength) for strength in (0.3, 0.6, 1.0)),
        *((GUIDED, strength) for strength in (0.3, 0.6, 1.0)),
        (SEVERAL, 0.3),
        (SEVERAL, 0.6),
        (replace(SEVERAL, width=48, height=144, guidance=1.0), 1.0),
    )
    for masked in (False, True)
]


@dataclass(frozen=True)
class Both:
    """The stack, and the reference by whether it takes a mask, on one folder of weights."""

    whole: Whole
    references: dict[bool, DiffusionPipeline]

    async def ours(self, case: Beginning) -> Pixels:
        cells = case.cells(CELL)
        mask = mask_of(cells).numpy() if case.masked else None
        return await draw_from(self.whole, case.wanted, np.array(picture_of(cells)), case.strength, mask)

    def theirs(self, case: Beginning) -> list[Image.Image]:
        wanted, picture = case.wanted, picture_of(case.cells(CELL))
        extra = {"mask_image": mask_picture(mask_of(case.cells(CELL)).numpy(), CELL)} if case.masked else {}
        images: list[Image.Image] = self.references[case.masked](
            prompt=wanted.prompt,
            negative_prompt=wanted.negative,
            image=picture,
            strength=case.strength,
            height=wanted.height,
            width=wanted.width,
            num_inference_steps=wanted.steps,
            true_cfg_scale=wanted.guidance,
            num_images_per_prompt=len(wanted.seeds),
            generator=[Generator().manual_seed(seed) for seed in wanted.seeds],
            **extra,
        ).images
        return images


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root: Path = tmp_path_factory.mktemp("qwen-image-start")
    folder = write_tiny_qwen_image(root / "qwen")
    references = {masked: kind.from_pretrained(folder) for masked, kind in REFERENCES.items()}
    for pipeline in references.values():
        pipeline.set_progress_bar_config(disable=True)
    async with open_whole(load_source(folder), root / "repository") as whole:
        with of_the_mode(pipeline_qwenimage_img2img), of_the_mode(pipeline_qwenimage_inpaint):
            yield Both(whole, references)


def named(case: Beginning) -> Any:
    return pytest.param(case, id=case.name, marks=pytest.mark.parity("Qwen-Image", REFERENCES[case.masked].__name__))


@pytest.mark.parametrize("case", [named(case) for case in CASES])
async def test_pictures_from_pictures(both: Both, case: Beginning) -> None:
    assert worst(await both.ours(case), both.theirs(case)) <= TOLERANCE


async def test_picture_and_mask_are_seen(both: Both) -> None:
    """Parity would hold as well if both sides ignored them. A mask that moves by less than a token is another one."""
    cells = Beginning(GUIDED, 0.6, masked=True).cells(CELL)
    picture, mask = np.array(picture_of(cells)), mask_of(cells).numpy()
    drawn = [
        (await draw_from(both.whole, GUIDED, pixels, 0.6, weights)).astype(int)
        for pixels, weights in (
            (picture, mask),
            (255 - picture, mask),
            (picture, np.roll(mask, 1, axis=1)),
            (picture, None),
            (255 - picture, None),
        )
    ]
    for other in drawn[1:4]:
        assert np.abs(drawn[0] - other).max() > TOLERANCE
    assert np.abs(drawn[3] - drawn[4]).max() > TOLERANCE
