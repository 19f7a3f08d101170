"""A small sampler for looking at models while they train."""

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DPMSolverMultistepScheduler
from torch import nn
from transformers import CLIPTokenizer

from wardrobe.training import tokenizer as bpe
from wardrobe.training.models import LATENT_CHANNELS, LATENT_SIZE
from wardrobe.training.vae import to_pixels
from wardrobe.world.canvas import Pixels


@dataclass(frozen=True, slots=True)
class Denoiser:
    """What a picture needs; all models on one device."""

    unet: nn.Module
    text_encoder: nn.Module
    tokenizer: CLIPTokenizer
    vae: AutoencoderKL
    scheduler: DDIMScheduler


@torch.no_grad()
def sample(denoiser: Denoiser, captions: list[str], steps: int = 8, guidance: float = 3.0, seed: int = 0) -> Pixels:
    """Pictures uint8 [B, 128, 128, 3], by DPM-Solver++ 2M."""
    device = next(denoiser.unet.parameters()).device
    scheduler = DPMSolverMultistepScheduler.from_config(denoiser.scheduler.config)
    scheduler.set_timesteps(steps)
    ids = torch.from_numpy(bpe.encode(denoiser.tokenizer, [""] * len(captions) + captions)).to(device)
    text = denoiser.text_encoder(ids).last_hidden_state
    shape = (len(captions), LATENT_CHANNELS, LATENT_SIZE, LATENT_SIZE)
    noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    latents = torch.from_numpy(noise).to(device) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        rows = scheduler.scale_model_input(torch.cat([latents, latents]), timestep)
        plain, prompted = denoiser.unet(rows, timestep.to(device), text).sample.chunk(2)
        latents = scheduler.step(plain + guidance * (prompted - plain), timestep, latents).prev_sample
    decoded = denoiser.vae.to(device).decode(latents / denoiser.vae.config.scaling_factor).sample
    return to_pixels(decoded)
