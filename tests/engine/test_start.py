"""Pictures that begin from pictures are the very ones of diffusers' image-to-image and inpainting pipelines."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from diffusers.pipelines.stable_diffusion import (
    pipeline_stable_diffusion_img2img,
    pipeline_stable_diffusion_inpaint,
)
from PIL import Image

from engine.modules import load_module
from engine.request import DenoiseRequest, LatentStart
from engine.samplers import build_scheduler
from engine.step import StepEngine
from families.catalog import ModelSource
from families.manifest import Component
from families.schedulers import SchedulerName
from tests.engine.conftest import SIDE, Recorder, request_of
from tests.engine.test_parity import MODEL, SCHEDULERS, assert_same, pipeline_of
from tests.support.beginnings import CELL, mask_of, mask_picture, of_the_mode, picture_of


@pytest.fixture(scope="module")
def references(tiny: ModelSource) -> Iterator[dict[bool, DiffusionPipeline]]:
    """diffusers' pipelines by whether they take a mask."""
    with of_the_mode(pipeline_stable_diffusion_img2img, pipeline_stable_diffusion_inpaint):
        yield {
            False: beginning(StableDiffusionImg2ImgPipeline, tiny),
            True: beginning(StableDiffusionInpaintPipeline, tiny),
        }


def beginning(kind: type[DiffusionPipeline], source: ModelSource) -> DiffusionPipeline:
    pipe = kind(**pipeline_of(source).components, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def reference(
    pipe: DiffusionPipeline, source: ModelSource, request: DenoiseRequest, picture: Image.Image
) -> torch.Tensor:
    """Pixels [n, H, W, 3] of diffusers' pipeline for the same request, which begins from `picture`."""
    pipe.scheduler = build_scheduler(source.manifest.noise, SchedulerName(request.scheduler))
    context, start = request.conditions[0].tensor, request.start
    assert start is not None
    extra = {}
    if start.mask is not None:
        extra = {"mask_image": mask_picture(start.mask.numpy()), "height": picture.height, "width": picture.width}
    output = pipe(
        prompt_embeds=context[1:],
        negative_prompt_embeds=context[:1],
        image=[picture] * (len(request.seeds) if start.mask is None else 1),
        strength=start.strength,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance_scale,
        num_images_per_prompt=len(request.seeds),
        generator=[torch.Generator().manual_seed(seed) for seed in request.seeds],
        output_type="np",
        **extra,
    )
    return torch.from_numpy(output.images).mul(255).round()


def from_picture(
    source: ModelSource, request: DenoiseRequest, strength: float, mask: torch.Tensor | None = None
) -> tuple[DenoiseRequest, Image.Image]:
    """The request from a picture of its size, through the encoder that the model is served with."""
    picture = picture_of((request.latent_height, request.latent_width))
    encoder = load_module(source.manifest.family, Component.VAE_ENCODER, source.folder)
    latents = encoder(torch.from_numpy(np.array(picture))[None])
    return replace(request, start=LatentStart(latents, strength, mask)), picture


def ours(engine: StepEngine, source: ModelSource, request: DenoiseRequest) -> torch.Tensor:
    """Pixels [n, H, W, 3] of the engine and the decoder that the model is served with; its steps are counted."""
    recorder = Recorder()
    engine.submit(request, recorder)
    latents = recorder.result()
    assert request.start is not None
    assert recorder.steps == list(range(1, int(request.steps * request.start.strength) + 1))
    return load_module(source.manifest.family, Component.VAE_DECODER, source.folder)(latents).float()


CASES = [
    *((scheduler, 0.6, 5.0, (SIDE, SIDE), (7,)) for scheduler in SCHEDULERS),
    *(
        (scheduler, *case)
        for scheduler in ("dpm++_sde_karras", "heun", "euler_a")
        for case in [(0.3, 1.0, (7, 13), (7,)), (1.0, 5.0, (5, 9), (3, 4, 5))]
    ),
]
"""Scheduler, strength, guidance, size and seeds."""


def name_of(case: tuple[str, float, float, tuple[int, int], tuple[int, ...]]) -> str:
    scheduler, strength, guidance, (height, width), seeds = case
    size = f"{width * CELL}x{height * CELL}"
    return f"{size}, {len(seeds)}, guidance {guidance:g}, {scheduler}, strength {strength:g}"


@pytest.mark.parametrize(("scheduler", "strength", "guidance", "size", "seeds"), CASES, ids=map(name_of, CASES))
@pytest.mark.parametrize(
    "masked",
    [
        pytest.param(False, id="image to image", marks=pytest.mark.parity(MODEL, "StableDiffusionImg2ImgPipeline")),
        pytest.param(True, id="inpainting", marks=pytest.mark.parity(MODEL, "StableDiffusionInpaintPipeline")),
    ],
)
def test_pictures_from_pictures(
    torch_engine: StepEngine,
    references: dict[bool, DiffusionPipeline],
    tiny: ModelSource,
    masked: bool,
    scheduler: str,
    strength: float,
    guidance: float,
    size: tuple[int, int],
    seeds: tuple[int, ...],
) -> None:
    plain = request_of(seeds, steps=7, guidance=guidance, scheduler=scheduler, size=size)
    request, picture = from_picture(tiny, plain, strength, torch.from_numpy(mask_of(size)) if masked else None)
    assert_same(ours(torch_engine, tiny, request), reference(references[masked], tiny, request, picture))
