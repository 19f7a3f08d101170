"""A small try-on sampler for looking at models while they train, and for measuring them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from families.tryon.agnostic import Mask
from wardrobe.evaluation.samplers import SAMPLERS
from wardrobe.training.tryon_cache import masked_picture, small_mask
from wardrobe.training.tryon_model import LATENT_CHANNELS, LATENT_SIZE, build_tryon_scheduler, given_planes
from wardrobe.training.vae import to_pixels, to_tensor
from wardrobe.world.canvas import Pixels


@dataclass(frozen=True, slots=True)
class TryOnModel:
    """What a try-on needs; both models on one device."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL


@dataclass(frozen=True, slots=True)
class TryOnRequest:
    """People uint8 [B, 128, 128, 3], agnostic masks bool [B, 128, 128] and flat garments uint8 [B, 128, 128, 3]."""

    people: Pixels
    masks: Mask
    garments: Pixels


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the picture is drawn."""

    steps: int = 8
    guidance: float = 1.0
    seed: int = 0
    sampler: str = "ddim"  # one of `SAMPLERS`


@torch.no_grad()
def try_on(model: TryOnModel, request: TryOnRequest, sampling: Sampling) -> Pixels:
    """What the decoder draws, uint8 [B, 128, 128, 3]; nothing is pasted back."""
    return to_pixels(model.vae.decode(draw_latents(model, request, sampling) / model.vae.config.scaling_factor).sample)


@torch.no_grad()
def draw_latents(model: TryOnModel, request: TryOnRequest, sampling: Sampling) -> torch.Tensor:
    """The denoised person half, scaled latents float32 [B, 8, 32, 32]."""
    vae, device = model.vae, model.vae.device
    scheduler: Any = SAMPLERS[sampling.sampler](build_tryon_scheduler().config)
    scheduler.set_timesteps(sampling.steps)
    people = np.stack([masked_picture(*pair) for pair in zip(request.people, request.masks, strict=True)])
    masked, garment = (
        vae.encode(to_tensor(pictures).to(device)).latent_dist.mode() * vae.config.scaling_factor
        for pictures in (people, request.garments)
    )
    mask = torch.from_numpy(np.stack([small_mask(mask)[0] for mask in request.masks])).float().to(device)[:, None]
    shown, hidden = (given_planes(mask, masked, worn) for worn in (garment, torch.zeros_like(garment)))
    shape = (len(people), LATENT_CHANNELS, 2 * LATENT_SIZE, LATENT_SIZE)
    noise = np.random.default_rng(sampling.seed).standard_normal(shape, dtype=np.float32)
    latents: torch.Tensor = torch.from_numpy(noise).to(device) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        noisy = scheduler.scale_model_input(latents, timestep)
        output = model.unet(torch.cat([noisy, shown], dim=1), timestep.to(device), None).sample
        if sampling.guidance != 1.0:
            plain = model.unet(torch.cat([noisy, hidden], dim=1), timestep.to(device), None).sample
            output = plain + sampling.guidance * (output - plain)
        latents = scheduler.step(output, timestep, latents).prev_sample
    return latents[:, :, :LATENT_SIZE]
