"""Qwen-Image from pictures: the whole stack draws what diffusers' pipelines draw that begin from one.

A token has four cells of the autoencoder; a mask's border may cross it.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from diffusers import QwenImageImg2ImgPipeline, QwenImageInpaintPipeline

from tests.support.beginnings import Beginning
from tests.support.both_begun import BothBegun, assert_seen, in_the_tables, open_begun, sizes
from tests.support.tiny_qwen_image import write_tiny_qwen_image
from tests.support.whole import Wanted, worst

TOLERANCE = 2
KINDS = {False: QwenImageImg2ImgPipeline, True: QwenImageInpaintPipeline}
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


def arguments(case: Beginning) -> dict[str, object]:
    return sizes(case) | {"true_cfg_scale": case.wanted.guidance}


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BothBegun]:
    folder = write_tiny_qwen_image(tmp_path_factory.mktemp("qwen-image-start") / "qwen")
    async with open_begun(folder, KINDS, arguments) as opened:
        yield opened


@pytest.mark.parametrize("case", [in_the_tables("Qwen-Image", KINDS, case) for case in CASES])
async def test_pictures_from_pictures(both: BothBegun, case: Beginning) -> None:
    assert worst(await both.ours(case), both.theirs(case)) <= TOLERANCE


async def test_picture_and_mask_are_seen(both: BothBegun) -> None:
    await assert_seen(both.whole, GUIDED)
