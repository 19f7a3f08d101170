"""The whole stack draws the very pictures of diffusers' StableDiffusion3Pipeline."""

from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
from diffusers import StableDiffusion3Pipeline

from tests.support.both import Both, open_both
from tests.support.tiny_sd3 import write_tiny_sd3
from tests.support.whole import Wanted, worst

TOLERANCE = 2
pytestmark = pytest.mark.parity("Stable Diffusion 3", "StableDiffusion3Pipeline")
LONG = "a person in a red striped dress " * 50
"""More than CLIP's 77 tokens and T5's 256."""

PLAIN = (
    Wanted("a person in a red dress", 64, 64),
    Wanted("a blue striped top", 112, 80, seeds=(1, 2, 3), steps=4),
    Wanted(LONG, 80, 144, steps=2),
)
GUIDED = tuple(
    replace(wanted, guidance=5.0, negative=negative)
    for wanted, negative in zip(PLAIN, ("", "green", LONG), strict=True)
)


@pytest.fixture(scope="module", params=["3.5", "3", "3.5 without T5"])
async def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root = tmp_path_factory.mktemp("sd3")
    folder = write_tiny_sd3(root / "sd3", t5="without" not in request.param, dual=request.param != "3")
    left_out = {} if (folder / "text_encoder_3").is_dir() else {"text_encoder_3": None, "tokenizer_3": None}
    async with open_both(folder, StableDiffusion3Pipeline, **left_out) as opened:
        yield opened


@pytest.mark.parametrize("wanted", [*PLAIN, *GUIDED], ids=lambda wanted: wanted.name)
async def test_pictures_are_the_references(both: Both, wanted: Wanted) -> None:
    assert worst(await both.whole.draw(wanted), both.reference(wanted)) <= TOLERANCE


async def test_words_are_seen(both: Both) -> None:
    """Parity would hold as well if both sides ignored them."""
    one = await both.whole.draw(PLAIN[0])
    other = await both.whole.draw(replace(PLAIN[0], prompt="a person in a green dress"))
    assert not np.array_equal(one, other)
