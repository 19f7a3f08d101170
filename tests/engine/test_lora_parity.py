"""With adapters the whole stack draws the very pictures that diffusers draws with them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file
from torch import Generator, nn

from export.verification.threads import torch_threads
from families.catalog import load_source
from gateway.domain.backend import Lora
from tests.support.tiny_lora import attention, everything, write_kohya, write_peft
from tests.support.tiny_sd15 import write_tiny_sd15
from tests.support.whole import Wanted, Whole, open_whole, worst

TOLERANCE = 2
pytestmark = pytest.mark.parity("Stable Diffusion 1.x with LoRA", "StableDiffusionPipeline")
BOTH = ("unet", "text_encoder")
STYLE, SUBJECT, UNET = Lora("style", 0.8), Lora("subject", -0.6), Lora("unet", 1.0)
ALPHAS = {"style": 2.0, "subject": 6.0, "unet": 4.0}
RANK = 4
PLAIN = Wanted("a woman in a red striped dress", 64, 64, guidance=7.5, negative="a man, blue", scheduler="ddim")
WANTED = (
    replace(PLAIN, loras=(STYLE,)),
    replace(PLAIN, loras=(STYLE, SUBJECT)),
    replace(PLAIN, loras=(UNET, SUBJECT), guidance=1.0),
    replace(PLAIN, loras=(SUBJECT, UNET, STYLE), width=104, height=72, seeds=(1, 2, 3)),
)


def name(wanted: Wanted) -> str:
    return f"{wanted.name}, " + " ".join(f"{lora.name} {lora.scale:g}" for lora in wanted.loras)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kohya's layout over every layer, peft's over both parts, peft's of the UNet alone without alpha."""
    model = write_tiny_sd15(tmp_path_factory.mktemp("lora") / "sd15")
    loras = model / "loras"
    write_kohya(model, loras / "style.safetensors", parts=BOTH, chosen=everything, seed=1, alpha=ALPHAS["style"])
    write_peft(model, loras / "subject.safetensors", parts=BOTH, chosen=attention, seed=2, alpha=ALPHAS["subject"])
    write_peft(model, loras / "unet.safetensors", parts=("unet",), chosen=attention, seed=3, alpha=None)
    return model


@pytest.fixture(scope="module")
async def whole(folder: Path) -> AsyncIterator[Whole]:
    async with open_whole(load_source(folder), folder.parent / "repository") as opened:
        yield opened


def pipeline_of(folder: Path) -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(pipeline: StableDiffusionPipeline, wanted: Wanted) -> list[Image.Image]:
    with torch_threads(1):
        images: list[Image.Image] = pipeline(
            prompt=wanted.prompt,
            negative_prompt=wanted.negative,
            height=wanted.height,
            width=wanted.width,
            num_inference_steps=wanted.steps,
            guidance_scale=wanted.guidance,
            num_images_per_prompt=len(wanted.seeds),
            generator=[Generator().manual_seed(seed) for seed in wanted.seeds],
        ).images
    return images


@pytest.mark.parametrize("wanted", WANTED, ids=name)
async def test_adapters_as_diffusers_loads_them(wanted: Wanted, whole: Whole, folder: Path) -> None:
    pytest.importorskip("peft", reason="diffusers loads adapters through peft")
    pipeline = pipeline_of(folder)
    for lora in wanted.loras:
        pipeline.load_lora_weights(folder / "loras", weight_name=f"{lora.name}.safetensors", adapter_name=lora.name)
    pipeline.set_adapters([lora.name for lora in wanted.loras], [lora.scale for lora in wanted.loras])
    assert worst(await whole.draw(wanted), draw(pipeline, wanted)) <= TOLERANCE


@pytest.mark.parametrize("wanted", WANTED, ids=name)
async def test_adapters_merged_into_weights(wanted: Wanted, whole: Whole, folder: Path) -> None:
    pipeline = pipeline_of(folder)
    for lora in wanted.loras:
        tensors = load_file(folder / "loras" / f"{lora.name}.safetensors")
        factor = lora.scale * ALPHAS[lora.name] / RANK
        for part, module in (("unet", pipeline.unet), ("text_encoder", pipeline.text_encoder)):
            merge(module, part, tensors, factor)
    assert worst(await whole.draw(wanted), draw(pipeline, wanted)) <= TOLERANCE


def merge(module: nn.Module, part: str, tensors: Mapping[str, torch.Tensor], factor: float) -> None:
    """By both layouts' names, over every layer: what is not named stays."""
    kohya = {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_"}[part]
    for layer, found in module.named_modules():
        if isinstance(found, nn.Linear | nn.Conv2d):
            for down, up in (
                (f"{part}.{layer}.lora_A.weight", f"{part}.{layer}.lora_B.weight"),
                (
                    f"{kohya}{layer.replace('.', '_')}.lora_down.weight",
                    f"{kohya}{layer.replace('.', '_')}.lora_up.weight",
                ),
            ):
                if down in tensors:
                    product = tensors[up].flatten(1) @ tensors[down].flatten(1)
                    found.weight.data += factor * product.reshape(found.weight.shape)


async def test_an_adapter_leaves_nothing_behind(whole: Whole) -> None:
    """And changes the picture much more than rounding does, which the comparisons above rely on."""
    plain, styled = await whole.draw(PLAIN), await whole.draw(WANTED[0])
    both, again = await whole.draw(WANTED[1]), await whole.draw(WANTED[0])
    assert np.array_equal(styled, again)
    assert np.array_equal(plain, await whole.draw(PLAIN))
    for one, other in ((plain, styled), (styled, both)):
        assert np.abs(one.astype(int) - other).max() > 10 * TOLERANCE
