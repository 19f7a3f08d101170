"""Qwen-Image-Edit with a mask: the whole stack draws the very pictures of diffusers' QwenImageEditInpaintPipeline."""

from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
from diffusers import QwenImageEditInpaintPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_inpaint as inpaint
from PIL import Image
from torch import Generator

from families.catalog import load_source
from gateway.domain.backend import Pixels
from tests.engine.test_parity_qwen_image_edit import LATENT_AREA, Both, smaller
from tests.support.beginnings import CELL, Beginning, draw_from, mask_of, mask_picture, of_the_mode, picture_of
from tests.support.tiny_qwen_image import write_tiny_qwen_image_edit
from tests.support.whole import Wanted, open_whole, worst

TOLERANCE = 2
pytestmark = pytest.mark.parity("Qwen-Image-Edit", "QwenImageEditInpaintPipeline")


def referring(wanted: Wanted) -> Wanted:
    """The picture that is changed is the reference too."""
    return replace(wanted, references=(np.array(picture_for(wanted)),))


def picture_for(wanted: Wanted) -> Image.Image:
    return picture_of((wanted.height // CELL, wanted.width // CELL))


# diffusers draws every picture at one area, here `LATENT_AREA`: these are sizes that it leaves as they are.
WIDE = referring(Wanted("make the dress red", 128, 64, steps=5))
TALL = referring(Wanted("a striped top", 64, 128, seeds=(1, 2, 3), steps=5, guidance=4.0, negative=" "))
CASES = [
    Beginning(wanted, strength, masked=True)
    for wanted, strength in (
        (WIDE, 0.3),
        (WIDE, 1.0),
        (replace(WIDE, guidance=2.5, negative="green"), 0.6),
        (TALL, 0.3),
        (TALL, 0.6),
        (replace(TALL, guidance=1.0), 1.0),
    )
]


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root = tmp_path_factory.mktemp("qwen-image-edit-start")
    folder = write_tiny_qwen_image_edit(root / "edit", several=False, seed=1)
    original = inpaint.calculate_dimensions
    with pytest.MonkeyPatch.context() as patch, of_the_mode(inpaint):
        patch.setattr(inpaint, "calculate_dimensions", lambda _area, ratio: original(LATENT_AREA, ratio))
        async with open_whole(smaller(load_source(folder), LATENT_AREA), root / "repository") as whole:
            yield Both(whole, folder, QwenImageEditInpaintPipeline)


async def ours(both: Both, case: Beginning) -> Pixels:
    picture, mask = np.array(picture_for(case.wanted)), mask_of(case.cells())
    return await draw_from(both.whole, case.wanted, picture, case.strength, mask)


def theirs(both: Both, case: Beginning) -> list[Image.Image]:
    wanted = case.wanted
    images: list[Image.Image] = both.pipeline(
        image=picture_for(wanted),
        mask_image=mask_picture(mask_of(case.cells())),
        prompt=wanted.prompt,
        negative_prompt=wanted.negative,
        true_cfg_scale=wanted.guidance,
        strength=case.strength,
        num_inference_steps=wanted.steps,
        num_images_per_prompt=len(wanted.seeds),
        generator=[Generator().manual_seed(seed) for seed in wanted.seeds],
    ).images
    return images


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_edits_with_a_mask(both: Both, case: Beginning) -> None:
    assert worst(await ours(both, case), theirs(both, case)) <= TOLERANCE


async def test_picture_mask_and_reference_are_seen(both: Both) -> None:
    """Parity would hold as well if both sides ignored them."""
    picture, mask = np.array(picture_for(WIDE)), mask_of(Beginning(WIDE, 0.6, masked=True).cells())
    drawn = [
        (await draw_from(both.whole, wanted, pixels, 0.6, weights)).astype(int)
        for wanted, pixels, weights in (
            (WIDE, picture, mask),
            (WIDE, np.invert(picture), mask),
            (WIDE, picture, np.roll(mask, 1, axis=1)),
            (replace(WIDE, references=(np.invert(picture),)), picture, mask),
        )
    ]
    for other in drawn[1:]:
        assert np.abs(drawn[0] - other).max() > TOLERANCE
