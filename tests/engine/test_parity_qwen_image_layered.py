"""The whole stack takes pictures apart into the very layers of diffusers' Qwen-Image-Layered pipeline."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from diffusers import QwenImageLayeredPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_layered
from PIL import Image
from torch import Generator

from families.catalog import load_source
from gateway.domain.backend import Pixels
from tests.support.tiny_qwen_image_layered import write_tiny_qwen_image_layered
from tests.support.whole import Wanted, Whole, open_whole, worst

TOLERANCE = 2
pytestmark = pytest.mark.parity("Qwen-Image-Layered", "QwenImageLayeredPipeline")


def picture(width: int, height: int, seed: int) -> Pixels:
    """Soft colours and soft alpha: a picture of noise would hide what is shifted."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 4), dtype=np.uint8)
    return np.asarray(Image.fromarray(small, "RGBA").resize((width, height), Image.Resampling.BICUBIC))


WIDE = Wanted("a person in a red dress", 96, 64, layers=2, references=(picture(96, 64, 1),))
TALL = Wanted("stripes", 32, 128, layers=3, guidance=2.5, negative="blue", references=(picture(32, 128, 2),))
WANTED = (
    WIDE,
    replace(WIDE, layers=5, guidance=4.0, negative=" ", steps=4),
    TALL,
    replace(TALL, layers=10, guidance=1.0, prompt=""),
    Wanted("a person in a red striped top, " * 20, 64, 64, layers=3, guidance=4.0, references=(picture(64, 64, 3),)),
)


class Both:
    """The stack and the reference on one folder of weights."""

    def __init__(self, whole: Whole, folder: Path) -> None:
        self.whole = whole
        self.pipeline = QwenImageLayeredPipeline.from_pretrained(folder, processor=None)
        self.pipeline.set_progress_bar_config(disable=True)
        # We never make up a caption where there is none.
        self.pipeline.get_image_caption = lambda *_args, **_options: ""

    def reference(self, wanted: Wanted) -> list[Image.Image]:
        with pytest.MonkeyPatch.context() as patch:
            size = (wanted.width, wanted.height)
            patch.setattr(pipeline_qwenimage_layered, "calculate_dimensions", lambda _area, _ratio: size)
            drawn: list[list[Image.Image]] = self.pipeline(
                image=Image.fromarray(wanted.references[0], "RGBA"),
                prompt=wanted.prompt,
                negative_prompt=wanted.negative,
                true_cfg_scale=wanted.guidance,
                cfg_normalize=True,
                layers=wanted.layers,
                num_inference_steps=wanted.steps,
                generator=Generator().manual_seed(wanted.seeds[0]),
            ).images
        return drawn[0]


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root = tmp_path_factory.mktemp("qwen-image-layered")
    folder = write_tiny_qwen_image_layered(root / "layered")
    async with open_whole(load_source(folder), root / "repository") as whole:
        yield Both(whole, folder)


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
async def test_layers_are_diffusers_own(both: Both, wanted: Wanted) -> None:
    layers = both.reference(wanted)
    assert len(layers) == wanted.layers
    assert worst(await both.whole.draw(wanted), layers) <= TOLERANCE


async def test_the_picture_is_taken_along(both: Both) -> None:
    """Parity would hold as well if both sides ignored it, or its alpha channel alone."""
    plain = (await both.whole.draw(WIDE)).astype(int)
    opaque = WIDE.references[0].copy()
    opaque[..., 3] = 255
    for other in (picture(96, 64, 4), opaque):
        drawn = await both.whole.draw(replace(WIDE, references=(other,)))
        assert np.abs(drawn.astype(int) - plain).max() > TOLERANCE


async def test_several_of_one_request_are_each_their_own(both: Both) -> None:
    """The reference's pipeline cannot; ours draws each from its own seed."""
    together = await both.whole.draw(replace(WIDE, seeds=(7, 8)))
    (alone, other) = [await both.whole.draw(replace(WIDE, seeds=(seed,))) for seed in (7, 8)]
    assert np.abs(together.astype(int) - np.concatenate([alone, other])).max() <= 1
    assert np.abs(alone.astype(int) - other).max() > TOLERANCE
