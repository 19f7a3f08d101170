"""Flow models from pictures: the whole stack draws what diffusers' SD3 pipelines draw that begin from one."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    SD3Transformer2DModel,
    StableDiffusion3Img2ImgPipeline,
    StableDiffusion3InpaintPipeline,
)

from tests.support.beginnings import Beginning
from tests.support.both_begun import BothBegun, assert_seen, in_the_tables, open_begun, sizes
from tests.support.tiny_sd3 import write_tiny_sd3
from tests.support.whole import Wanted, worst

TOLERANCE = 2
KINDS = {False: StableDiffusion3Img2ImgPipeline, True: StableDiffusion3InpaintPipeline}
CASES = [
    Beginning(replace(wanted, steps=5), strength, masked)
    for wanted, strength in (
        (Wanted("a person in a red dress", 64, 64, guidance=5.0, negative="green"), 0.3),
        (Wanted("a blue striped top", 112, 80, seeds=(1, 2, 3)), 0.6),
        (Wanted("a person", 80, 144, guidance=4.0), 1.0),
    )
    for masked in (False, True)
]


def arguments(case: Beginning) -> dict[str, object]:
    return sizes(case) | {"guidance_scale": case.wanted.guidance}


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
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BothBegun]:
    folder = widened(write_tiny_sd3(tmp_path_factory.mktemp("flow") / "sd3", t5=False))
    async with open_begun(folder, KINDS, arguments, text_encoder_3=None, tokenizer_3=None) as opened:
        yield opened


@pytest.mark.parametrize("case", [in_the_tables("Stable Diffusion 3", KINDS, case) for case in CASES])
async def test_pictures_from_pictures(both: BothBegun, case: Beginning) -> None:
    assert worst(await both.ours(case), both.theirs(case)) <= TOLERANCE


async def test_picture_and_mask_are_seen(both: BothBegun) -> None:
    await assert_seen(both.whole, CASES[0].wanted)
