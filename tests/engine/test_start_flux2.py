"""FLUX.2-klein from pictures: the whole stack draws what diffusers' Flux2KleinInpaintPipeline draws."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinInpaintPipeline
from PIL import Image
from torch import Generator

from families.catalog import load_source
from gateway.domain.backend import Pixels
from tests.support.beginnings import CELL, Beginning, Mask, draw_from, mask_of, mask_picture, picture_of
from tests.support.tiny_flux2 import write_tiny_flux2
from tests.support.whole import Wanted, Whole, open_whole, worst

TOLERANCE = 2
pytestmark = pytest.mark.parity("FLUX.2-klein", "Flux2KleinInpaintPipeline")
PATCH = 2 * CELL
"""Pixels along a side of a token, and of a mask's cell."""


def picture_for(wanted: Wanted) -> Image.Image:
    """The one that is changed."""
    return picture_of((wanted.height // CELL, wanted.width // CELL))


def referring(wanted: Wanted, *others: Image.Image) -> Wanted:
    """diffusers shows the model the picture that is changed as the first reference, as the gateway does."""
    return replace(wanted, references=tuple(np.array(picture) for picture in (picture_for(wanted), *others)))


OTHER = picture_of((9, 13)).crop((0, 0, 103, 70))
"""A reference of a size that no model takes as it is."""
PLAIN = referring(Wanted("a person in a red dress", 64, 64, steps=5))
SEVERAL = referring(Wanted("a striped top", 112, 80, seeds=(1, 2, 3), steps=5), OTHER)
TALL = referring(Wanted("a person", 80, 144, steps=5))
CASES = [
    Beginning(wanted, strength, masked)
    for wanted, strength in (
        *((PLAIN, strength) for strength in (0.3, 0.6, 1.0)),
        (SEVERAL, 0.3),
        (SEVERAL, 0.6),
        (TALL, 1.0),
    )
    for masked in (False, True)
]
GUIDED = [
    Beginning(replace(wanted, guidance=guidance), strength, masked)
    for wanted, guidance, strength, masked in (
        (PLAIN, 4.0, 0.3, True),
        (PLAIN, 1.0, 0.6, True),
        (SEVERAL, 3.5, 0.6, True),
        (SEVERAL, 2.0, 0.3, False),
        (TALL, 4.0, 1.0, True),
    )
]


def mask_for(case: Beginning) -> Mask:
    """All is drawn anew where nothing is masked."""
    cells = case.cells(PATCH)
    return mask_of(cells) if case.masked else np.ones(cells, dtype=np.float32)


@dataclass(frozen=True)
class Both:
    """The stack and the reference on one folder of weights."""

    whole: Whole
    pipeline: Flux2KleinInpaintPipeline

    async def ours(self, case: Beginning) -> Pixels:
        mask = mask_for(case) if case.masked else None
        return await draw_from(self.whole, case.wanted, np.array(picture_for(case.wanted)), case.strength, mask)

    def theirs(self, case: Beginning) -> list[Image.Image]:
        wanted = case.wanted
        images: list[Image.Image] = self.pipeline(
            prompt=wanted.prompt,
            image=picture_for(wanted),
            image_reference=[Image.fromarray(pixels) for pixels in wanted.references[1:]] or None,
            mask_image=mask_picture(mask_for(case), PATCH),
            strength=case.strength,
            num_inference_steps=wanted.steps,
            guidance_scale=wanted.guidance,
            num_images_per_prompt=len(wanted.seeds),
            generator=[Generator().manual_seed(seed) for seed in wanted.seeds],
        ).images
        return images


@asynccontextmanager
async def open_both(folder: Path) -> AsyncIterator[Both]:
    pipeline = Flux2KleinInpaintPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    async with open_whole(load_source(folder), folder.parent / "repository") as whole:
        yield Both(whole, pipeline)


@pytest.fixture(scope="module")
async def distilled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    folder = write_tiny_flux2(tmp_path_factory.mktemp("flux2-start") / "klein")
    async with open_both(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
async def base(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root = tmp_path_factory.mktemp("flux2-base-start")
    async with open_both(write_tiny_flux2(root / "klein-base", distilled=False, seed=1)) as opened:
        yield opened


@contextmanager
def shown_nothing(pipeline: Flux2KleinInpaintPipeline) -> Iterator[None]:
    """The reference without its references: variations have none."""

    def nothing(_: object, batch_size: int, *__: object) -> tuple[torch.Tensor, torch.Tensor]:
        channels = pipeline.transformer.config.in_channels
        return torch.zeros(batch_size, 0, channels), torch.zeros(batch_size, 0, 4, dtype=torch.int64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "prepare_image_latents", nothing)
        yield


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_distilled_model_from_pictures(distilled: Both, case: Beginning) -> None:
    assert worst(await distilled.ours(case), distilled.theirs(case)) <= TOLERANCE


@pytest.mark.parametrize("case", GUIDED, ids=lambda case: case.name)
async def test_the_base_model_from_pictures(base: Both, case: Beginning) -> None:
    assert worst(await base.ours(case), base.theirs(case)) <= TOLERANCE


@pytest.mark.parametrize(
    "case",
    [
        Beginning(replace(wanted, references=()), strength, masked=False)
        for wanted, strength in ((PLAIN, 0.6), (SEVERAL, 0.3))
    ],
    ids=lambda case: case.name,
)
async def test_variations_without_references(distilled: Both, case: Beginning) -> None:
    with shown_nothing(distilled.pipeline):
        theirs = distilled.theirs(case)
    assert worst(await distilled.ours(case), theirs) <= TOLERANCE


async def test_picture_mask_and_references_are_seen(distilled: Both) -> None:
    """Parity would hold as well if both sides ignored them."""
    mask = mask_of(Beginning(SEVERAL, 0.6, masked=True).cells(PATCH))
    picture = np.array(picture_for(SEVERAL))
    drawn = [
        (await draw_from(distilled.whole, wanted, pixels, 0.6, weights)).astype(int)
        for wanted, pixels, weights in (
            (SEVERAL, picture, mask),
            (SEVERAL, np.invert(picture), mask),
            (SEVERAL, picture, np.roll(mask, 1, axis=1)),
            (SEVERAL, picture, None),
            (replace(SEVERAL, references=SEVERAL.references[:1]), picture, mask),
            (replace(SEVERAL, references=SEVERAL.references[1:]), picture, mask),
        )
    ]
    for other in drawn[1:]:
        assert np.abs(drawn[0] - other).max() > TOLERANCE
