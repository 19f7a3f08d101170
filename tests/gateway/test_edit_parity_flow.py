"""Edits of FLUX.2-klein and Qwen-Image that begin from a picture, by HTTP, are diffusers' own where they are new."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from diffusers import DiffusionPipeline, Flux2KleinInpaintPipeline, QwenImageImg2ImgPipeline, QwenImageInpaintPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_img2img, pipeline_qwenimage_inpaint
from PIL import Image
from torch import Generator

from export.verification.threads import torch_threads
from families.catalog import load_source
from gateway.adapters.inprocess import InProcessBackend
from gateway.settings import BackendSettings
from tests.gateway.pictures import file_of, mask_of
from tests.gateway.server import RunningGateway, serve
from tests.gateway.test_edit_parity import FEATHER, PROMPT, TOLERANCE, ask, soft_picture
from tests.support.beginnings import of_the_mode
from tests.support.parity import measured
from tests.support.published import publish
from tests.support.tiny_flux2 import write_tiny_flux2
from tests.support.tiny_qwen_image import write_tiny_qwen_image

Pictures = npt.NDArray[np.int64]

STEPS = 4
SEEDS = (3, 4)
WIDTH, HEIGHT = 112, 80
QWEN = {"negative_prompt": "blue", "guidance_scale": 3.0}
QWEN_ARGUMENTS = {"negative_prompt": "blue", "true_cfg_scale": 3.0, "width": WIDTH, "height": HEIGHT}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models only wait for each other's threads."""
    with torch_threads(1):
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("flow-edits")
    return {"klein": write_tiny_flux2(root / "klein"), "qwen": write_tiny_qwen_image(root / "qwen")}


@pytest.fixture(scope="module")
def gateway(folders: dict[str, Path]) -> Iterator[RunningGateway]:
    sources = {name: load_source(folder) for name, folder in folders.items()}
    root = folders["klein"].parent
    for source in sources.values():
        for component in source.manifest.components:
            publish(source, root / "repository", component, onnx=False)
    settings = BackendSettings(kind="inprocess", runtime="torch", threads=1)
    backend = InProcessBackend(root / "repository", sources, settings)
    asyncio.run(backend.open())
    with serve(root, backend=backend, sources=sources) as running:  # type: ignore[arg-type]
        yield running


def reference(kind: type[DiffusionPipeline], folder: Path, strength: float, **given: object) -> Pictures:
    pipeline = kind.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(
        prompt=PROMPT,
        num_inference_steps=STEPS,
        strength=strength,
        num_images_per_prompt=len(SEEDS),
        generator=[Generator().manual_seed(seed) for seed in SEEDS],
        **given,
    ).images
    pictures: Pictures = np.stack([np.asarray(image) for image in images]).astype(int)
    return pictures


def white(box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", (WIDTH, HEIGHT))
    mask.paste(255, box)
    return mask


def assert_new_inside(ours: Pictures, theirs: Pictures, picture: Image.Image, box: tuple[int, int, int, int]) -> None:
    """diffusers' inside of `box`, where nothing fades; the picture's own bytes outside of it."""
    left, top, right, bottom = box
    inner = (slice(None), slice(top + FEATHER, bottom - FEATHER), slice(left + FEATHER, right - FEATHER))
    assert theirs[inner].std() > 1 and (theirs[inner] != np.asarray(picture)[inner[1:]]).mean() > 0.5
    assert measured(int(np.abs(ours[inner] - theirs[inner]).max())) <= TOLERANCE
    kept = np.asarray(white(box)) == 0
    assert (ours[:, kept] == np.asarray(picture)[kept]).all()


@pytest.mark.parametrize("strength", [0.6, 1.0], ids=["112x80, 2, strength 0.6", "112x80, 2, strength 1"])
@pytest.mark.parity("Qwen-Image", "QwenImageInpaintPipeline")
def test_qwen_image_with_a_mask(gateway: RunningGateway, folders: dict[str, Path], strength: float) -> None:
    picture, box = soft_picture(WIDTH, HEIGHT), (24, 8, 104, 72)
    extra = {"num_inference_steps": STEPS, "strength": strength, **QWEN}
    ours = ask(gateway, 2, extra, model="qwen", image=file_of(picture), mask=file_of(mask_of(WIDTH, HEIGHT, box)))
    with of_the_mode(pipeline_qwenimage_inpaint):
        theirs = reference(
            QwenImageInpaintPipeline, folders["qwen"], strength, image=picture, mask_image=white(box), **QWEN_ARGUMENTS
        )
    assert_new_inside(ours, theirs, picture, box)


@pytest.mark.parametrize("strength", [0.6], ids=["112x80, 2, strength 0.6"])
@pytest.mark.parity("Qwen-Image", "QwenImageImg2ImgPipeline")
def test_qwen_image_from_a_picture(gateway: RunningGateway, folders: dict[str, Path], strength: float) -> None:
    picture = soft_picture(WIDTH, HEIGHT)
    extra = {"num_inference_steps": STEPS, "strength": strength, **QWEN}
    ours = ask(gateway, 2, extra, model="qwen", image=file_of(picture))
    with of_the_mode(pipeline_qwenimage_img2img):
        theirs = reference(QwenImageImg2ImgPipeline, folders["qwen"], strength, image=picture, **QWEN_ARGUMENTS)
    assert theirs.std() > 1 and (theirs != np.asarray(picture)).mean() > 0.5
    assert measured(int(np.abs(ours - theirs).max())) <= TOLERANCE


@pytest.mark.parametrize("others", [(), ((70, 113),)], ids=["112x80, 2", "112x80, 2, another reference"])
@pytest.mark.parity("FLUX.2-klein", "Flux2KleinInpaintPipeline")
def test_klein_with_a_mask(
    gateway: RunningGateway, folders: dict[str, Path], others: tuple[tuple[int, int], ...]
) -> None:
    picture, box, strength = soft_picture(WIDTH, HEIGHT), (16, 16, 96, 64), 0.8
    shown = [soft_picture(*size) for size in others]
    ours = ask(
        gateway,
        2,
        {"num_inference_steps": STEPS, "strength": strength},
        model="klein",
        image=[file_of(one) for one in (picture, *shown)],
        mask=file_of(mask_of(WIDTH, HEIGHT, box)),
    )
    theirs = reference(
        Flux2KleinInpaintPipeline,
        folders["klein"],
        strength,
        image=picture,
        mask_image=white(box),
        image_reference=shown or None,
        guidance_scale=1.0,
    )
    assert_new_inside(ours, theirs, picture, box)
