"""The engine draws the very pictures of diffusers' own pipeline."""

import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel

from engine.modules import load_module
from engine.request import DenoiseRequest
from engine.samplers import build_scheduler
from engine.step import StepEngine, open_step_engine
from families.catalog import ModelSource, load_source
from families.manifest import Component, Prediction
from families.schedulers import SchedulerName, supported_schedulers
from tests.engine.conftest import SETTINGS, request_of, run
from tests.support.parity import measured
from tests.support.published import publish
from tests.support.tiny_model import write_tiny_model

TOLERANCE = 2
MODEL = "Stable Diffusion 1.x"
pytestmark = pytest.mark.parity(MODEL, "StableDiffusionPipeline")
SCHEDULERS = [name.value for name in supported_schedulers(Prediction.V)]


@pytest.fixture(scope="session")
def pipeline(tiny: ModelSource) -> StableDiffusionPipeline:
    return pipeline_of(tiny)


def pipeline_of(source: ModelSource) -> StableDiffusionPipeline:
    pipe = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(source.folder / "vae"),
        text_encoder=None,
        tokenizer=None,
        unet=UNet2DConditionModel.from_pretrained(source.folder / "unet"),
        scheduler=build_scheduler(source.manifest.noise, SchedulerName.DDIM),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def reference(pipe: StableDiffusionPipeline, source: ModelSource, request: DenoiseRequest) -> torch.Tensor:
    """Pixels [n, H, W, 3] uint8 of diffusers' pipeline for the same request."""
    pipe.scheduler = build_scheduler(source.manifest.noise, SchedulerName(request.scheduler))
    context = request.conditions[0].tensor
    scale = source.manifest.latent.downscale
    output = pipe(
        prompt_embeds=context[1:],
        negative_prompt_embeds=context[:1],
        height=request.latent_height * scale,
        width=request.latent_width * scale,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance_scale,
        num_images_per_prompt=len(request.seeds),
        generator=[torch.Generator().manual_seed(seed) for seed in request.seeds],
        output_type="np",
    )
    return torch.from_numpy(output.images).mul(255).round()


def ours(engine: StepEngine, source: ModelSource, request: DenoiseRequest) -> torch.Tensor:
    """Pixels [n, H, W, 3] uint8 of the engine and the decoder it is served with."""
    decoder = load_module(source.manifest.family, Component.VAE_DECODER, source.folder)
    return decoder(run(engine, request)).float()


def assert_same(got: torch.Tensor, wanted: torch.Tensor) -> None:
    assert got.shape == wanted.shape
    assert wanted.std() > 1, "a flat reference proves nothing"
    assert measured(int((got - wanted).abs().max())) <= TOLERANCE


@pytest.mark.parametrize("guidance", [5.0, 1.0], ids=["guided", "plain"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_matches_diffusers(
    engine: StepEngine, pipeline: StableDiffusionPipeline, tiny: ModelSource, scheduler: str, guidance: float
) -> None:
    request = request_of((7,), steps=5, guidance=guidance, scheduler=scheduler)
    assert_same(ours(engine, tiny, request), reference(pipeline, tiny, request))


@pytest.mark.parametrize("scheduler", ["dpm++_sde_karras", "euler_a", "pndm"])
def test_several_images_of_one_request(
    engine: StepEngine, pipeline: StableDiffusionPipeline, tiny: ModelSource, scheduler: str
) -> None:
    request = request_of((3, 4, 5), steps=6, scheduler=scheduler, size=(6, 10))
    assert_same(ours(engine, tiny, request), reference(pipeline, tiny, request))


@pytest.mark.parametrize("steps", [1, 2, 17])
def test_step_counts(engine: StepEngine, pipeline: StableDiffusionPipeline, tiny: ModelSource, steps: int) -> None:
    for scheduler in ("heun", "pndm", "unipc"):
        request = request_of((1,), steps=steps, scheduler=scheduler)
        assert_same(ours(engine, tiny, request), reference(pipeline, tiny, request))


@pytest.mark.parametrize("size", [(7, 13), (9, 8), (5, 5)], ids=["104x56", "64x72", "40x40"])
def test_odd_sizes(
    engine: StepEngine, pipeline: StableDiffusionPipeline, tiny: ModelSource, size: tuple[int, int]
) -> None:
    request = request_of((9, 8, 7), size=size, scheduler="dpm++_karras")
    assert_same(ours(engine, tiny, request), reference(pipeline, tiny, request))


def test_an_epsilon_model(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("epsilon")
    source = load_source(write_tiny_model(folder / "eps", prediction="epsilon"))
    engine = open_step_engine(publish(source, folder, Component.DENOISER, onnx=False), "torch", SETTINGS)
    try:
        for scheduler in SCHEDULERS:
            request = request_of((2,), steps=4, scheduler=scheduler)
            assert_same(ours(engine, source, request), reference(pipeline_of(source), source, request))
    finally:
        engine.close()
