"""SDXL from pictures: the whole stack draws what diffusers' pipelines draw that begin from one."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline

from tests.support.beginnings import Beginning
from tests.support.both_begun import BothBegun, assert_seen, in_the_tables, open_begun, sizes
from tests.support.tiny_sdxl import write_tiny_sdxl
from tests.support.whole import Wanted, worst

TOLERANCE = 2
KINDS = {False: StableDiffusionXLImg2ImgPipeline, True: StableDiffusionXLInpaintPipeline}
PLAIN = Wanted("a woman in a red striped dress", 64, 64, steps=5)
GUIDED = replace(PLAIN, width=104, height=72, guidance=5.0, negative="a man, blue")
SEVERAL = replace(GUIDED, width=72, height=96, seeds=(1, 2, 3), guidance=3.0)
CASES = [
    Beginning(wanted, strength, masked)
    for wanted, strength in (
        *((GUIDED, strength) for strength in (0.3, 0.6, 1.0)),
        (PLAIN, 0.6),
        (SEVERAL, 0.6),
        (replace(SEVERAL, guidance=1.0), 1.0),
    )
    for masked in (False, True)
]


def arguments(case: Beginning) -> dict[str, object]:
    """Image to image has the picture's own size."""
    return {"guidance_scale": case.wanted.guidance} | (sizes(case) if case.masked else {})


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BothBegun]:
    folder = write_tiny_sdxl(tmp_path_factory.mktemp("sdxl-start") / "sdxl")
    async with open_begun(folder, KINDS, arguments) as opened:
        yield opened


@pytest.mark.parametrize("case", [in_the_tables("SDXL", KINDS, case) for case in CASES])
async def test_pictures_from_pictures(both: BothBegun, case: Beginning) -> None:
    assert worst(await both.ours(case), both.theirs(case)) <= TOLERANCE


async def test_picture_and_mask_are_seen(both: BothBegun) -> None:
    await assert_seen(both.whole, GUIDED)
