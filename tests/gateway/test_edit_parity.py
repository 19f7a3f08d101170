"""Edits through the official client, the real gateway and the engine in its process are diffusers' own pictures."""

import asyncio
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import openai
import pytest
from diffusers import (
    DDIMScheduler,
    Flux2KleinPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
)
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img as img2img
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_inpaint as inpaint
from PIL import Image
from torch import Generator

from export.verification.threads import torch_threads
from families.catalog import load_source
from gateway.adapters.inprocess import InProcessBackend
from gateway.settings import BackendSettings
from tests.gateway.pictures import file_of, mask_of, pixels_of
from tests.gateway.server import RunningGateway, serve
from tests.support.parity import measured
from tests.support.published import publish
from tests.support.tiny_flux2 import write_tiny_flux2
from tests.support.tiny_sd15 import write_tiny_sd15

TOLERANCE = 2
FEATHER = 4
PROMPT, NEGATIVE = "a woman in a red striped dress", "a man, blue"
STEPS, GUIDANCE = 5, 6.0


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models only wait for each other's threads."""
    with torch_threads(1):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_sd15(tmp_path_factory.mktemp("edits") / "tiny")


@pytest.fixture(scope="module")
def klein(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_flux2(tmp_path_factory.mktemp("references") / "klein")


@pytest.fixture(scope="module")
def gateway(folder: Path, klein: Path) -> Iterator[RunningGateway]:
    sources = {path.name: load_source(path) for path in (folder, klein)}
    repository = folder.parent / "repository"
    for source in sources.values():
        for component in source.manifest.components:
            publish(source, repository, component, onnx=False)
    settings = BackendSettings(kind="inprocess", runtime="torch", threads=1)
    backend = InProcessBackend(repository, sources, settings)
    asyncio.run(backend.open())
    with serve(folder.parent, backend=backend, sources=sources) as running:  # type: ignore[arg-type]
        yield running


@pytest.fixture()
def reference(folder: Path, monkeypatch: pytest.MonkeyPatch) -> partial[np.ndarray]:
    """diffusers, which would sample the posterior; the stack takes its mode."""
    for module in (img2img, inpaint):
        monkeypatch.setattr(module, "retrieve_latents", partial(module.retrieve_latents, sample_mode="argmax"))
    return partial(_reference, folder)


@lru_cache(maxsize=1)
def _components(folder: Path) -> dict[str, object]:
    return dict(StableDiffusionPipeline.from_pretrained(folder).components)


def _reference(folder: Path, kind: type, seeds: tuple[int, ...], strength: float, **pictures: object) -> np.ndarray:
    pipeline = kind(**_components(folder), requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    images = pipeline(
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        strength=strength,
        num_images_per_prompt=len(seeds),
        generator=[Generator().manual_seed(seed) for seed in seeds],
        **pictures,
    ).images
    return np.stack([np.asarray(image) for image in images]).astype(int)


def soft_picture(width: int, height: int) -> Image.Image:
    small = np.random.default_rng(width).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def ask(gateway: RunningGateway, n: int, extra: dict[str, object], **fields: object) -> np.ndarray:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0, timeout=60)
    answer = client.images.edit(  # type: ignore[call-overload]
        prompt=PROMPT, n=n, response_format="b64_json", extra_body={"seed": 3, **extra}, **fields
    )
    return np.stack([pixels_of(item.b64_json) for item in answer.data]).astype(int)


def edit(gateway: RunningGateway, strength: float, n: int, **files: object) -> np.ndarray:
    extra = {
        "negative_prompt": NEGATIVE,
        "num_inference_steps": STEPS,
        "guidance_scale": GUIDANCE,
        "strength": strength,
        "scheduler": "ddim",
    }
    return ask(gateway, n, extra, model="tiny", **files)


@pytest.mark.parametrize(
    ("size", "strength", "n"),
    [((64, 64), 0.6, 1), ((104, 72), 0.8, 1), ((72, 88), 1.0, 3)],
    ids=["64x64, 1, strength 0.6", "104x72, 1, strength 0.8", "72x88, 3, strength 1"],
)
@pytest.mark.parity("Stable Diffusion 1.x", "StableDiffusionImg2ImgPipeline")
def test_image_to_image(
    gateway: RunningGateway, reference: partial[np.ndarray], size: tuple[int, int], strength: float, n: int
) -> None:
    picture = soft_picture(*size)
    ours = edit(gateway, strength, n, image=file_of(picture))
    seeds = tuple(range(3, 3 + n))
    theirs = reference(StableDiffusionImg2ImgPipeline, seeds, strength, image=[picture] * n)
    assert theirs.std() > 1 and (theirs != np.asarray(picture)).mean() > 0.5
    assert measured(int(np.abs(ours - theirs).max())) <= TOLERANCE


@pytest.mark.parametrize(
    ("size", "strength", "n"),
    [((64, 64), 1.0, 1), ((104, 72), 0.7, 2)],
    ids=["64x64, 1, strength 1", "104x72, 2, strength 0.7"],
)
@pytest.mark.parity("Stable Diffusion 1.x", "StableDiffusionInpaintPipeline")
def test_inpainting(
    gateway: RunningGateway, reference: partial[np.ndarray], size: tuple[int, int], strength: float, n: int
) -> None:
    picture, box = soft_picture(*size), (16, 8, 56, 48)
    ours = edit(gateway, strength, n, image=file_of(picture), mask=file_of(mask_of(*size, box)))
    white = Image.new("L", size)
    white.paste(255, box)
    theirs = reference(
        StableDiffusionInpaintPipeline,
        tuple(range(3, 3 + n)),
        strength,
        image=picture,
        mask_image=white,
        width=size[0],
        height=size[1],
    )
    inner = (slice(None), slice(8 + FEATHER, 48 - FEATHER), slice(16 + FEATHER, 56 - FEATHER))
    assert measured(int(np.abs(ours[inner] - theirs[inner]).max())) <= TOLERANCE
    kept = np.asarray(white) == 0
    assert (ours[:, kept] == np.asarray(picture)[kept]).all()


@pytest.mark.parametrize("sizes", [[(96, 64)], [(70, 113), (81, 64)]], ids=["one", "two of odd sizes"])
@pytest.mark.parity("FLUX.2-klein", "Flux2KleinPipeline")
def test_references(gateway: RunningGateway, klein: Path, sizes: list[tuple[int, int]]) -> None:
    pictures = [soft_picture(*size) for size in sizes]
    files = [file_of(picture) for picture in pictures]
    ours = ask(gateway, 2, {"num_inference_steps": 3}, model="klein", size="112x80", image=files)
    pipeline = Flux2KleinPipeline.from_pretrained(klein)
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(
        image=pictures,
        prompt=PROMPT,
        width=112,
        height=80,
        num_inference_steps=3,
        guidance_scale=1.0,
        num_images_per_prompt=2,
        generator=[Generator().manual_seed(seed) for seed in (3, 4)],
    ).images
    theirs = np.stack([np.asarray(image) for image in images]).astype(int)
    assert theirs.std() > 1
    assert measured(int(np.abs(ours - theirs).max())) <= TOLERANCE
