"""Flow models from pictures: the whole stack draws what diffusers' SD3 pipelines draw that begin from one."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    SD3Transformer2DModel,
    StableDiffusion3Img2ImgPipeline,
    StableDiffusion3InpaintPipeline,
)
from diffusers.pipelines.stable_diffusion_3 import (
    pipeline_stable_diffusion_3_img2img,
    pipeline_stable_diffusion_3_inpaint,
)
from PIL import Image

from families.catalog import load_source
from gateway.domain.backend import Pixels
from tests.engine.test_start import mask_of, of_the_mode, picture_of
from tests.support.beginnings import Beginning, draw_from, mask_picture
from tests.support.tiny_sd3 import write_tiny_sd3
from tests.support.whole import Wanted, Whole, open_whole, worst

TOLERANCE = 2
REFERENCES = {False: StableDiffusion3Img2ImgPipeline, True: StableDiffusion3InpaintPipeline}
"""By whether they take a mask."""
CELL = 8


CASES = [
    Beginning(replace(wanted, steps=5), strength, masked)
    for wanted, strength in (
        (Wanted("a person in a red dress", 64, 64, guidance=5.0, negative="green"), 0.3),
        (Wanted("a blue striped top", 112, 80, seeds=(1, 2, 3)), 0.6),
        (Wanted("a person", 80, 144, guidance=4.0), 1.0),
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
            image=picture if case.masked else [picture] * len(wanted.seeds),
            strength=case.strength,
            height=wanted.height,
            width=wanted.width,
            num_inference_steps=wanted.steps,
            guidance_scale=wanted.guidance,
            num_images_per_prompt=len(wanted.seeds),
            generator=[torch.Generator().manual_seed(seed) for seed in wanted.seeds],
            **extra,
        ).images
        return images


def widened(folder: Path) -> Path:
    """The model with SD3's own 16 latent channels, by which its inpainting pipeline knows it.

    That pipeline forgets the VAE's shift when it decodes, so there is none.
    """
    torch.manual_seed(1)
    for kind, part, changes in (
        (SD3Transformer2DModel, "transformer", {"in_channels": 16, "out_channels": 16}),
        (AutoencoderKL, "vae", {"latent_channels": 16, "shift_factor": 0.0}),
    ):
        kind.from_config(kind.load_config(folder / part) | changes).save_pretrained(folder / part)
    return folder


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root: Path = tmp_path_factory.mktemp("flow")
    folder = widened(write_tiny_sd3(root / "sd3", t5=False))
    left_out = {"text_encoder_3": None, "tokenizer_3": None}
    references = {masked: kind.from_pretrained(folder, **left_out) for masked, kind in REFERENCES.items()}
    for pipeline in references.values():
        pipeline.set_progress_bar_config(disable=True)
    async with open_whole(load_source(folder), root / "repository") as whole:
        with of_the_mode(pipeline_stable_diffusion_3_img2img), of_the_mode(pipeline_stable_diffusion_3_inpaint):
            yield Both(whole, references)


def named(case: Beginning) -> Any:
    pipeline = REFERENCES[case.masked].__name__
    return pytest.param(case, id=case.name, marks=pytest.mark.parity("Stable Diffusion 3", pipeline))


@pytest.mark.parametrize("case", [named(case) for case in CASES])
async def test_pictures_from_pictures(both: Both, case: Beginning) -> None:
    assert worst(await both.ours(case), both.theirs(case)) <= TOLERANCE
