"""The whole stack draws the very pictures of diffusers' Flux2KleinPipeline."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinPipeline
from diffusers.models.transformers.transformer_flux2 import Flux2PosEmbed
from PIL import Image

from families.derived import Layout
from families.flux2 import derive
from families.tensors import DType, TensorSpec
from gateway.domain.backend import Pixels
from tests.support.both import Both, klein, open_both
from tests.support.tiny_flux2 import write_tiny_flux2
from tests.support.whole import Wanted, worst

TOLERANCE = 2
pytestmark = pytest.mark.parity("FLUX.2-klein", "Flux2KleinPipeline")
LONG = "a person in a red striped dress on a blue background, " * 40
"""More than the 512 tokens that the text encoder reads."""


def picture(width: int, height: int, seed: int) -> Pixels:
    """Soft colours: a picture of noise would hide what is shifted."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


ONE = (picture(103, 70, 1),)
TWO = (picture(64, 112, 2), picture(90, 65, 3))
TEXT_TO_IMAGE = (
    Wanted("a person in a red dress", 64, 64),
    Wanted("a person", 112, 80, seeds=(1, 2, 3), steps=4),
    Wanted(LONG, 80, 144, steps=2),
)
DISTILLED = (
    *TEXT_TO_IMAGE,
    replace(TEXT_TO_IMAGE[0], references=ONE),
    replace(TEXT_TO_IMAGE[1], references=TWO),
)
BASE = (
    *TEXT_TO_IMAGE,
    *(replace(wanted, guidance=4.0) for wanted in TEXT_TO_IMAGE),
    replace(TEXT_TO_IMAGE[1], guidance=3.5, references=TWO),
)


@pytest.fixture(scope="module")
async def distilled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root = tmp_path_factory.mktemp("flux2")
    folder = write_tiny_flux2(root / "klein")
    async with open_both(folder, Flux2KleinPipeline, klein) as opened:
        yield opened


@pytest.fixture(scope="module")
async def base(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root = tmp_path_factory.mktemp("flux2-base")
    folder = write_tiny_flux2(root / "klein-base", distilled=False, seed=1)
    async with open_both(folder, Flux2KleinPipeline, klein) as opened:
        yield opened


@pytest.mark.parametrize("wanted", DISTILLED, ids=lambda wanted: wanted.name)
async def test_the_distilled_model(distilled: Both, wanted: Wanted) -> None:
    assert worst(await distilled.whole.draw(wanted), distilled.reference(wanted)) <= TOLERANCE


@pytest.mark.parametrize("wanted", BASE, ids=lambda wanted: wanted.name)
async def test_the_base_model(base: Both, wanted: Wanted) -> None:
    assert worst(await base.whole.draw(wanted), base.reference(wanted)) <= TOLERANCE


def test_positions_are_the_references_own(distilled: Both) -> None:
    """At the published models' width, and at sizes that no tiny picture reaches."""
    references = ((64, 48), (1, 130))
    head = TensorSpec("text_sin", DType.FP32, ("text_length", 64))
    manifest = distilled.whole.model.manifest
    wide = replace(manifest, denoiser=replace(manifest.denoiser, inputs=(*manifest.denoiser.inputs[:-1], head)))
    derived = {tensor.name: tensor.array[0] for tensor in derive(wide, Layout(96, 128, 512, references))}
    latents = [torch.empty(1, 1, height, width) for height, width in references]
    pipeline = distilled.pipeline
    ids = {
        "latent": pipeline._prepare_latent_ids(torch.empty(1, 1, 96, 128))[0],
        "reference": pipeline._prepare_image_ids(latents)[0],
        "text": pipeline._prepare_text_ids(torch.empty(1, 512, 1))[0],
    }
    embed = Flux2PosEmbed(theta=2000, axes_dim=[32, 32, 32, 32])
    for name, positions in ids.items():
        for part, table in zip(("cos", "sin"), embed(positions), strict=True):
            expected = table[:, ::2].float().numpy()  # diffusers writes each angle twice
            np.testing.assert_allclose(
                derived[f"{name}_{part}"].reshape(expected.shape), expected, rtol=0, atol=1e-7, err_msg=name
            )


async def test_references_and_words_are_seen(distilled: Both) -> None:
    """Parity would hold as well if both sides ignored them."""

    async def drawn(**other: Any) -> Pixels:
        pixels: Pixels = (await distilled.whole.draw(replace(TEXT_TO_IMAGE[0], **other))).astype(int)
        return pixels

    plain, swapped = await drawn(), await drawn(references=TWO)
    for one, another in (
        (plain, await drawn(references=ONE)),
        (plain, await drawn(prompt="blue")),
        (swapped, await drawn(references=TWO[::-1])),
    ):
        assert np.abs(one - another).max() > TOLERANCE
