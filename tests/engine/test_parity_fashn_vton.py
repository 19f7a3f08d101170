"""The whole stack draws the pictures of FASHN VTON's loop, written here a second time over the plain tensors."""

import math
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from export.verification.threads import torch_threads
from families.catalog import load_source
from gateway.domain.errors import InvalidRequest
from gateway.domain.tryon import GarmentCategory
from gateway.domain.tryon_drawing import TryOnDrawing, TryOnPoses
from gateway.pipelines.tryon.draw import TryOnDraw
from tests.support.dressing import drawing_of, open_dressing, shown
from tests.support.tiny_fashn_vton import HEIGHT, WIDTH, Reference, write_tiny_fashn_vton
from tests.support.whole import worst

TOLERANCE = 2
MODEL = "tiny-fashn"
_GREY = np.random.default_rng(1).integers(0, 256, (2, HEIGHT, WIDTH), dtype=np.uint8)
PLAIN = drawing_of(
    MODEL,
    WIDTH,
    HEIGHT,
    guidance_scale=1.5,
    scheduler="flow_match_euler",
    steps=6,
    poses=TryOnPoses(_GREY[0], np.zeros_like(_GREY[1])),
    category=GarmentCategory.TOPS,
)
DRAWINGS = (
    PLAIN,
    replace(PLAIN, guidance_scale=1.0, category=GarmentCategory.BOTTOMS),
    replace(PLAIN, seeds=(1, 2, 3), steps=7, guidance_scale=3.0, category=GarmentCategory.ONE_PIECES),
    replace(PLAIN, mask=np.zeros_like(PLAIN.mask), steps=1, poses=TryOnPoses(_GREY[0], _GREY[1])),
)
NUMBERS = {GarmentCategory.TOPS: 1, GarmentCategory.BOTTOMS: 2, GarmentCategory.ONE_PIECES: 3}


def loop(reference: Reference, drawing: TryOnDrawing, seed: int) -> np.ndarray:
    """From time 0, which is noise, to 1: shifted Euler steps, the last one without guidance."""
    assert drawing.poses is not None and drawing.category is not None
    person = np.where(drawing.mask[..., None], 127, drawing.person)
    planes = (person, drawing.poses.person[..., None], drawing.garment, drawing.poses.garment[..., None])
    told = [torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1)[None] / 127.5 - 1 for p in planes]
    given = (*told, torch.tensor([NUMBERS[drawing.category]]))
    nothing = tuple(torch.zeros_like(value) for value in given)
    shift = math.exp(-1.5)
    times = [shift / (shift + (1 / u - 1)) if u else 0.0 for u in np.linspace(0, 1, drawing.steps + 1)]
    image = torch.randn((1, 3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(seed))
    for step, (now, after) in enumerate(pairwise(times)):
        velocity = reference.velocity(image, now, given)
        if drawing.guidance_scale > 1 and step < drawing.steps - 1:
            without = reference.velocity(image, now, nothing)
            velocity = without + drawing.guidance_scale * (velocity - without)
        image = image + (after - now) * velocity
    return np.rint((image[0].clamp(-1, 1) + 1).numpy().transpose(1, 2, 0) * 127.5).astype(np.uint8)


@pytest.fixture(scope="module")
async def dressing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[TryOnDraw, Reference]]:
    root: Path = tmp_path_factory.mktemp("fashn")
    state = write_tiny_fashn_vton(root / f"{MODEL}.safetensors")
    async with open_dressing(load_source(root / f"{MODEL}.safetensors"), root / "repository") as draw:
        yield draw, Reference(state)


@pytest.mark.parity("FASHN VTON", "own loop over the published tensors")
@pytest.mark.parametrize("drawing", DRAWINGS, ids=shown)
async def test_pictures_are_the_references(dressing: tuple[TryOnDraw, Reference], drawing: TryOnDrawing) -> None:
    draw, reference = dressing
    with torch_threads(1), torch.inference_mode():
        theirs = [loop(reference, drawing, seed) for seed in drawing.seeds]
    assert worst(await draw.draw(drawing, None), theirs) <= TOLERANCE


async def test_everything_that_is_given_counts(dressing: tuple[TryOnDraw, Reference]) -> None:
    """Parity would hold as well if both sides ignored it."""
    draw, _ = dressing
    assert PLAIN.poses is not None
    others = (
        replace(PLAIN, garment=PLAIN.garment[::-1].copy()),
        replace(PLAIN, person=PLAIN.person[::-1].copy()),
        replace(PLAIN, mask=~PLAIN.mask),
        replace(PLAIN, poses=TryOnPoses(_GREY[1], PLAIN.poses.garment)),
        replace(PLAIN, poses=TryOnPoses(_GREY[0], _GREY[1])),
        replace(PLAIN, category=GarmentCategory.ONE_PIECES),
        replace(PLAIN, guidance_scale=3.0),
    )
    plain = await draw.draw(PLAIN, None)
    for other in others:
        assert np.abs(plain.astype(int) - await draw.draw(other, None)).max() > TOLERANCE


async def test_it_draws_one_size_and_takes_poses_and_a_category(dressing: tuple[TryOnDraw, Reference]) -> None:
    draw, _ = dressing
    other = replace(drawing_of(MODEL, 48, 48), poses=PLAIN.poses, category=PLAIN.category)
    with pytest.raises(InvalidRequest, match="tiny-fashn draws 32x48 pixels alone, not 48x48"):
        await draw.draw(other, None)
    with pytest.raises(ValueError, match="takes poses, and the drawing has none"):
        await draw.draw(replace(PLAIN, poses=None), None)
    with pytest.raises(ValueError, match="takes one of tops, bottoms, one-pieces, got None"):
        await draw.draw(replace(PLAIN, category=None), None)
