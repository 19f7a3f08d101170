"""The whole stack draws the very pictures of CatVTON's loop, written here a second time from what was published."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

from export.verification.threads import torch_threads
from families.catalog import load_source
from gateway.domain.tryon_drawing import TryOnDrawing
from gateway.pipelines.tryon.draw import TryOnDraw
from tests.support.dressing import drawing_of, open_dressing, shown
from tests.support.tiny_catvton import tiny_unet, write_tiny_catvton
from tests.support.whole import worst

TOLERANCE = 2
MODEL = "tiny-catvton"
PLAIN = drawing_of(MODEL, 64, 64)
DRAWINGS = (
    PLAIN,
    replace(PLAIN, guidance_scale=1.0),
    drawing_of(MODEL, 48 * 2, 64 * 2, seeds=(1, 2, 3)),
    drawing_of(MODEL, 104, 72, seeds=(5, 6, 7), guidance_scale=4.0, steps=7),
    replace(PLAIN, mask=np.zeros_like(PLAIN.mask), steps=5),
)


class Skip(torch.nn.Module):
    """An attention processor that gives back what came in."""

    def __call__(self, attn: object, hidden_states: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return hidden_states


class Reference:
    """UNet with cross-attention skipped by a processor, VAE and scheduler, and nothing of ours."""

    def __init__(self, folder: Path, unet: UNet2DConditionModel) -> None:
        processors = unet.attn_processors
        unet.set_attn_processor(
            {name: Skip() if ".attn2." in name else processor for name, processor in processors.items()}
        )
        self.unet = unet.eval()
        self.vae = AutoencoderKL.from_pretrained(folder / "vae").eval()
        self.scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")

    @torch.inference_mode()
    def draw(self, drawing: TryOnDrawing) -> list[np.ndarray]:
        factor = self.vae.config.scaling_factor
        pictures = (drawing.person, drawing.garment)
        person, garment = (torch.from_numpy(array).permute(2, 0, 1)[None] / 127.5 - 1 for array in pictures)
        mask = torch.from_numpy(drawing.mask)[None, None].float()
        below = self.vae.encode(garment).latent_dist.mode() * factor
        above = self.vae.encode(person * (mask < 0.5)).latent_dist.mode() * factor
        cells = torch.nn.functional.interpolate(mask, size=above.shape[-2:], mode="nearest")
        told = torch.cat([torch.cat([cells, torch.zeros_like(cells)], 2), torch.cat([above, below], 2)], 1)
        untold = torch.cat(
            [torch.cat([cells, torch.zeros_like(cells)], 2), torch.cat([above, torch.zeros_like(below)], 2)], 1
        )
        with torch_threads(1):
            return [self._one(drawing, seed, told, untold) for seed in drawing.seeds]

    def _one(self, drawing: TryOnDrawing, seed: int, told: torch.Tensor, untold: torch.Tensor) -> np.ndarray:
        rows, columns = told.shape[2:]
        latents = torch.randn((1, 4, rows, columns), generator=torch.Generator().manual_seed(seed))
        self.scheduler.set_timesteps(drawing.steps)
        for timestep in self.scheduler.timesteps:
            noise = self.unet(torch.cat([latents, told], 1), timestep, None).sample
            if drawing.guidance_scale > 1:
                without = self.unet(torch.cat([latents, untold], 1), timestep, None).sample
                noise = without + drawing.guidance_scale * (noise - without)
            latents = self.scheduler.step(noise, timestep, latents, eta=0.0).prev_sample
        image = self.vae.decode(latents[:, :, : rows // 2] / self.vae.config.scaling_factor).sample[0]
        pixels = (image / 2 + 0.5).clamp(0, 1).permute(1, 2, 0) * 255
        return np.asarray(pixels.round().to(torch.uint8).numpy())


@pytest.fixture(scope="module")
async def dressing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[TryOnDraw, Reference]]:
    root = tmp_path_factory.mktemp("catvton")
    folder = write_tiny_catvton(root / MODEL)
    async with open_dressing(load_source(folder), root / "repository") as draw:
        yield draw, Reference(folder, tiny_unet())


@pytest.mark.parity("CatVTON", "own loop on diffusers' UNet")
@pytest.mark.parametrize("drawing", DRAWINGS, ids=shown)
async def test_pictures_are_the_references(dressing: tuple[TryOnDraw, Reference], drawing: TryOnDrawing) -> None:
    draw, reference = dressing
    assert worst(await draw.draw(drawing, None), reference.draw(drawing)) <= TOLERANCE


async def test_everything_that_is_given_counts(dressing: tuple[TryOnDraw, Reference]) -> None:
    """Parity would hold as well if both sides ignored it."""
    draw, _ = dressing
    others = (
        replace(PLAIN, garment=PLAIN.garment[::-1].copy()),
        replace(PLAIN, person=PLAIN.person[::-1].copy()),
        replace(PLAIN, mask=~PLAIN.mask),
        replace(PLAIN, guidance_scale=6.0),
        replace(PLAIN, seeds=(8,)),
    )
    plain = await draw.draw(PLAIN, None)
    for other in others:
        assert np.abs(plain.astype(int) - await draw.draw(other, None)).max() > TOLERANCE


async def test_company_changes_nothing(dressing: tuple[TryOnDraw, Reference]) -> None:
    draw, _ = dressing
    crowd = [replace(drawing, deterministic=True) for drawing in (PLAIN, *DRAWINGS[1:4])]
    alone = [await draw.draw(drawing, None) for drawing in crowd]
    together = await asyncio.gather(*(draw.draw(drawing, None) for drawing in crowd))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
