"""The whole stack draws the very pictures of diffusers' Qwen-Image-Edit pipelines."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import torch
from diffusers import QwenImageEditPipeline, QwenImageEditPlusPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit as one_picture
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as several_pictures
from PIL import Image
from torch import Generator
from transformers import BatchFeature, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer, Qwen2VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from families.catalog import ModelSource, load_source
from gateway.domain.backend import Pixels
from tests.gateway.pictures import file_of, pixels_of
from tests.gateway.server import serve
from tests.support.tiny_qwen_image import write_tiny_qwen_image_edit
from tests.support.whole import Wanted, Whole, open_whole, worst

TOLERANCE = 2
pytestmark = pytest.mark.parity("Qwen-Image-Edit", "QwenImageEditPlusPipeline")
LATENT_AREA, SEEN_AREA = 96 * 96, 112 * 112
"""Instead of 1024 x 1024 and 384 x 384 pixels, on both sides."""


def picture(width: int, height: int, seed: int) -> Pixels:
    """Soft colours: a picture of noise would hide what is shifted."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


ONE = (picture(150, 100, 1),)
TWO = (picture(64, 112, 2), picture(200, 64, 3))
SINGLE = Wanted("make the dress red", 64, 64, references=ONE)
WANTED = (
    SINGLE,
    replace(SINGLE, width=80, height=112, guidance=4.0, negative=" ", seeds=(1, 2, 3)),
    Wanted("the top of the first on the person of the second", 112, 48, guidance=2.5, references=TWO),
    Wanted("a person in a red striped top, " * 20, 48, 80, references=TWO[::-1]),
)


class Processor(Qwen2VLProcessor):
    """Qwen2-VL's image processor and tokenizer; transformers' own wrapper of the two needs torchvision for films."""

    def __init__(self, tokenizer: Qwen2Tokenizer, images: Qwen2VLImageProcessorPil) -> None:
        self.tokenizer, self.image_processor = tokenizer, images

    def __call__(self, text: list[str], images: Any, padding: bool, return_tensors: str) -> BatchFeature:
        seen = self.image_processor(images, return_tensors=return_tensors)
        counts = iter((seen["image_grid_thw"].prod(dim=1) // self.image_processor.merge_size**2).tolist())
        filled = ["".join(self._filled(part, counts) for part in self._parts(one)) for one in text]
        return BatchFeature({**self.tokenizer(filled, padding=padding, return_tensors=return_tensors), **seen})

    @staticmethod
    def _parts(text: str) -> list[str]:
        first, *others = text.split("<|image_pad|>")
        return [first, *("<|image_pad|>" + part for part in others)]

    @staticmethod
    def _filled(part: str, counts: Any) -> str:
        return part.replace("<|image_pad|>", "<|image_pad|>" * next(counts)) if "<|image_pad|>" in part else part


class Both:
    """The stack and the reference on one folder of weights."""

    def __init__(self, whole: Whole, folder: Path, kind: type[Any]) -> None:
        self.whole, self.folder = whole, folder
        processor = Processor(
            Qwen2Tokenizer.from_pretrained(folder / "tokenizer"),
            Qwen2VLImageProcessorPil.from_pretrained(folder / "processor"),
        )
        self.pipeline = kind.from_pretrained(folder, processor=processor)
        self.pipeline.set_progress_bar_config(disable=True)
        _tell_pictures_from_words(self.pipeline.text_encoder)

    def reference(self, wanted: Wanted) -> list[Image.Image]:
        images = [Image.fromarray(pixels) for pixels in wanted.references]
        drawn: list[Image.Image] = self.pipeline(
            image=images[0] if isinstance(self.pipeline, QwenImageEditPipeline) else images,
            prompt=wanted.prompt,
            negative_prompt=wanted.negative,
            true_cfg_scale=wanted.guidance,
            height=wanted.height,
            width=wanted.width,
            num_inference_steps=wanted.steps,
            num_images_per_prompt=len(wanted.seeds),
            generator=[Generator().manual_seed(seed) for seed in wanted.seeds],
        ).images
        return drawn


def _tell_pictures_from_words(encoder: Qwen2_5_VLForConditionalGeneration) -> None:
    """transformers 5 wants to be told which tokens are pictures, else their rows and columns are no positions.

    diffusers' pipelines of these models do not say so yet; with transformers 4, which found out by itself, the models
    were trained and published.
    """
    original = encoder.forward

    def forward(input_ids: torch.Tensor, **given: Any) -> Any:
        return original(
            input_ids=input_ids, mm_token_type_ids=(input_ids == encoder.config.image_token_id).int(), **given
        )

    encoder.forward = forward


def smaller(source: ModelSource, seen_area: int) -> ModelSource:
    """The same model, to which smaller pictures are shown."""
    manifest = source.manifest
    assert manifest.references is not None and manifest.prompts[0].pictures is not None
    rule = replace(manifest.prompts[0].pictures, area=seen_area)
    return replace(
        source,
        manifest=replace(
            manifest,
            prompts=(replace(manifest.prompts[0], pictures=rule),),
            references=replace(manifest.references, area=LATENT_AREA),
        ),
    )


@pytest.fixture(scope="module")
async def several(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root = tmp_path_factory.mktemp("qwen-image-edit-plus")
    folder = write_tiny_qwen_image_edit(root / "edit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(several_pictures, "VAE_IMAGE_SIZE", LATENT_AREA)
        patch.setattr(several_pictures, "CONDITION_IMAGE_SIZE", SEEN_AREA)
        async with open_whole(smaller(load_source(folder), SEEN_AREA), root / "repository") as whole:
            yield Both(whole, folder, QwenImageEditPlusPipeline)


@pytest.fixture(scope="module")
async def single(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root = tmp_path_factory.mktemp("qwen-image-edit")
    folder = write_tiny_qwen_image_edit(root / "edit", several=False, seed=1)
    original = one_picture.calculate_dimensions
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one_picture, "calculate_dimensions", lambda _area, ratio: original(LATENT_AREA, ratio))
        async with open_whole(smaller(load_source(folder), LATENT_AREA), root / "repository") as whole:
            yield Both(whole, folder, QwenImageEditPipeline)


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
async def test_one_and_several_references(several: Both, wanted: Wanted) -> None:
    assert worst(await several.whole.draw(wanted), several.reference(wanted)) <= TOLERANCE


@pytest.mark.parity("Qwen-Image-Edit", "QwenImageEditPipeline")
@pytest.mark.parametrize("guidance", [1.0, 4.0], ids=["guidance 1", "guidance 4"])
async def test_the_first_release_takes_one_picture(single: Both, guidance: float) -> None:
    wanted = replace(SINGLE, guidance=guidance, width=48)
    assert worst(await single.whole.draw(wanted), single.reference(wanted)) <= TOLERANCE


async def test_pictures_are_looked_at_and_taken_along(several: Both) -> None:
    """Parity would hold as well if both sides ignored them."""

    async def difference(references: Sequence[Pixels]) -> int:
        other = await several.whole.draw(replace(WANTED[2], references=tuple(references)))
        return int(np.abs(other.astype(int) - plain).max())

    plain = (await several.whole.draw(WANTED[2])).astype(int)
    assert await difference(TWO[::-1]) > TOLERANCE
    assert await difference(TWO[:1]) > TOLERANCE
    assert await difference(()) > TOLERANCE


async def test_the_gateway_shows_the_pictures_of_an_edit(several: Both, tmp_path: Path) -> None:
    """By HTTP, with files: all of the way that a user's pictures take."""
    source = smaller(load_source(several.folder), SEEN_AREA)
    wanted = replace(WANTED[2], height=80, seeds=(5, 6))
    async with open_whole(source, tmp_path / "repository") as whole:
        with serve(tmp_path, backend=whole.backend, sources={"edit": source}) as gateway:  # type: ignore[arg-type]
            client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0, timeout=60)
            answer = await client.images.edit(
                image=[file_of(Image.fromarray(pixels)) for pixels in wanted.references],
                prompt=wanted.prompt,
                n=len(wanted.seeds),
                size=f"{wanted.width}x{wanted.height}",  # type: ignore[call-overload]
                response_format="b64_json",
                extra_body={
                    "seed": wanted.seeds[0],
                    "num_inference_steps": wanted.steps,
                    "guidance_scale": wanted.guidance,
                    "negative_prompt": wanted.negative,
                },
            )
    ours = np.stack([pixels_of(item.b64_json) for item in answer.data])
    assert worst(ours, several.reference(wanted)) <= TOLERANCE
