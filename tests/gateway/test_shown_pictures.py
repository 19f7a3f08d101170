"""What a text encoder that sees is shown is what transformers' own processor makes of the pictures."""

from dataclasses import replace

import numpy as np
import pytest
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import calculate_dimensions
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize

from families.manifest import PictureRule
from families.picture_size import looked_at, of_area
from gateway.pipelines.prompts import show
from tests.gateway.pictures import noise_picture

RULE = PictureRule(
    most=3,
    area=112 * 112,
    multiple=32,
    minimum=56 * 56,
    maximum=12845056,
    patch=14,
    merge=2,
    words="Picture {number}: <{picture}>",
    token="@",
)
SIDES = st.integers(min_value=8, max_value=4000)


@given(SIDES, SIDES, st.sampled_from([96 * 96, 384 * 384, 1024 * 1024]))
def test_areas_are_the_references(width: int, height: int, area: int) -> None:
    expected = calculate_dimensions(area, width / height)
    assert of_area(width, height, area, 32) == tuple(max(32, side) for side in expected)


@given(SIDES, SIDES, st.sampled_from([200_000, 12845056]))
def test_squares_of_patches_are_the_processors(width: int, height: int, maximum: int) -> None:
    # The processor refuses the one, and can make nothing of the other.
    assume(max(width, height) / min(width, height) <= 200 and min(width, height) >= 15)
    assert looked_at(width, height, replace(RULE, maximum=maximum))[::-1] == smart_resize(
        height, width, 28, RULE.minimum, maximum
    )


@pytest.mark.parametrize("sizes", [[(100, 60)], [(64, 200), (33, 33), (250, 90)]])
def test_patches_are_the_processors(sizes: list[tuple[int, int]]) -> None:
    pictures = [noise_picture(*size) for size in sizes]
    shown = show([np.asarray(picture) for picture in pictures], RULE)
    patches, grid = (tensor.array for tensor in shown.tokens)
    resized = []
    for picture in pictures:
        width, height = calculate_dimensions(RULE.area, picture.width / picture.height)
        resized.append(VaeImageProcessor().resize(picture, height, width))
    expected = Qwen2VLImageProcessorPil(max_pixels=RULE.maximum)(resized, return_tensors="np")
    assert (grid[0, : len(sizes)] == expected["image_grid_thw"][:, 1:]).all()
    assert not grid[0, len(sizes) :].any()
    mean, deviation = (np.array(values)[None, :, None] for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    ours = (patches[0].reshape(-1, 3, 196) / 255 - mean) / deviation
    theirs = expected["pixel_values"].reshape(-1, 3, 2, 196)
    for frame in range(2):
        np.testing.assert_allclose(ours, theirs[:, :, frame], atol=1e-5)
    counts = expected["image_grid_thw"].prod(axis=1) // 4
    words = "".join(f"Picture {number}: <{'@' * count}>" for number, count in enumerate(counts, start=1))
    assert shown.words == words


def test_no_pictures_are_no_patches() -> None:
    shown = show([], RULE)
    assert [tensor.array.shape for tensor in shown.tokens] == [(1, 0, 588), (1, 3, 2)]
    assert shown.words == ""
