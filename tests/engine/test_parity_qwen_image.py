"""The whole stack draws the very pictures of diffusers' QwenImagePipeline."""

from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
from diffusers import QwenImagePipeline

from tests.support.both import Both, open_both, true_guidance
from tests.support.tiny_qwen_image import write_tiny_qwen_image
from tests.support.whole import Wanted, worst

TOLERANCE = 2
pytestmark = pytest.mark.parity("Qwen-Image", "QwenImagePipeline")
LONG = "a person in a red striped top, " * 200
"""More than the 512 tokens that reach the transformer: the template's own end is cut too."""

PLAIN = Wanted("a person in a red dress", 64, 64)
GUIDED = Wanted("a person in blue jeans, plain wall", 80, 48, guidance=4.0, negative=" ")
WANTED = (
    PLAIN,
    GUIDED,
    replace(GUIDED, width=112, height=80, seeds=(1, 2, 3), steps=4, negative="striped"),
    Wanted(LONG, 48, 112, steps=2, guidance=2.5),
    Wanted("", 64, 80, steps=2),
)


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root = tmp_path_factory.mktemp("qwen-image")
    folder = write_tiny_qwen_image(root / "qwen")
    async with open_both(folder, QwenImagePipeline, true_guidance) as opened:
        yield opened


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
async def test_pictures_are_diffusers_own(both: Both, wanted: Wanted) -> None:
    assert worst(await both.whole.draw(wanted), both.reference(wanted)) <= TOLERANCE


async def test_words_and_guidance_count(both: Both) -> None:
    """Parity would hold as well if both sides ignored them."""
    pictures = [
        await both.whole.draw(wanted)
        for wanted in (
            GUIDED,
            replace(GUIDED, prompt="blue"),
            replace(GUIDED, negative="blue"),
            replace(GUIDED, guidance=2),
        )
    ]
    for other in pictures[1:]:
        assert np.abs(pictures[0].astype(int) - other).max() > TOLERANCE
