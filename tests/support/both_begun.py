"""The stack and diffusers' image-to-image and inpainting pipelines on one folder of weights."""

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Generator

from export.verification.threads import torch_threads
from families.catalog import load_source
from gateway.domain.backend import Pixels
from tests.support.beginnings import Beginning, draw_from, mask_of, mask_picture, of_the_mode, picture_of
from tests.support.whole import Wanted, Whole, open_whole

Arguments = Callable[[Beginning], dict[str, object]]
Kinds = Mapping[bool, type[DiffusionPipeline]]
"""By whether they take a mask."""
_STRENGTH = 0.6
_VISIBLE = 10
"""Levels of 255, far more than parity allows."""


@dataclass(frozen=True)
class BothBegun:
    """`arguments`: what the reference's pipelines are told beside pictures, steps and seeds."""

    whole: Whole
    pipelines: Mapping[bool, DiffusionPipeline]
    arguments: Arguments

    async def ours(self, case: Beginning) -> Pixels:
        cells = case.cells()
        mask = mask_of(cells) if case.masked else None
        return await draw_from(self.whole, case.wanted, np.array(picture_of(cells)), case.strength, mask)

    def theirs(self, case: Beginning) -> list[Image.Image]:
        wanted, picture = case.wanted, picture_of(case.cells())
        masked = {"mask_image": mask_picture(mask_of(case.cells()))} if case.masked else {}
        with torch_threads(1):
            images: list[Image.Image] = self.pipelines[case.masked](
                prompt=wanted.prompt,
                negative_prompt=wanted.negative,
                image=picture if case.masked else [picture] * len(wanted.seeds),
                strength=case.strength,
                num_inference_steps=wanted.steps,
                num_images_per_prompt=len(wanted.seeds),
                generator=[Generator().manual_seed(seed) for seed in wanted.seeds],
                **masked,
                **self.arguments(case),
            ).images
        return images


@asynccontextmanager
async def open_begun(folder: Path, kinds: Kinds, arguments: Arguments, **left_out: None) -> AsyncIterator[BothBegun]:
    """`left_out`: parts that the folder does not have."""
    pipelines = {masked: kind.from_pretrained(folder, **left_out) for masked, kind in kinds.items()}
    for pipeline in pipelines.values():
        pipeline.set_progress_bar_config(disable=True)
    async with open_whole(load_source(folder), folder.parent / "repository") as whole:
        with of_the_mode(*(sys.modules[kind.__module__] for kind in kinds.values())):
            yield BothBegun(whole, pipelines, arguments)


def sizes(case: Beginning) -> dict[str, object]:
    """For pipelines that do not take the picture's own."""
    return {"height": case.wanted.height, "width": case.wanted.width}


async def assert_seen(whole: Whole, wanted: Wanted) -> None:
    """Parity would hold as well if both sides ignored picture and mask. A mask moved by one cell is another one."""
    cells = Beginning(wanted, _STRENGTH, masked=True).cells()
    picture, mask = np.array(picture_of(cells)), mask_of(cells)
    given = (
        (picture, mask),
        (np.invert(picture), mask),
        (picture, np.roll(mask, 1, axis=1)),
        (picture, None),
        (np.invert(picture), None),
    )
    drawn = [(await draw_from(whole, wanted, pixels, _STRENGTH, kept)).astype(int) for pixels, kept in given]
    for one, another in ((0, 1), (0, 2), (0, 3), (3, 4)):
        assert np.abs(drawn[one] - drawn[another]).max() > _VISIBLE


def in_the_tables(model: str, kinds: Kinds, case: Beginning) -> Any:
    """The case with its name and the mark of its pipeline."""
    return pytest.param(case, id=case.name, marks=pytest.mark.parity(model, kinds[case.masked].__name__))
