"""A small sampler for looking at the layered model while it trains."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import pixel_shuffle

from wardrobe.training import layers_text
from wardrobe.training.layers_models import CHANNELS, FlatVae, build_scheduler
from wardrobe.training.layers_positions import rotations
from wardrobe.training.layers_trainer import LayersTrainer
from wardrobe.training.layers_vae import to_sheets, to_tensor
from wardrobe.world.canvas import Pixels

_CELLS = 64


@dataclass(frozen=True, slots=True)
class LayersModel:
    """What taking apart needs. `trainer` knows how latents are normalised and captions are read."""

    net: nn.Module
    vae: FlatVae
    trainer: LayersTrainer


@torch.no_grad()
def take_apart(model: LayersModel, pictures: Pixels, count: int, steps: int = 4, seed: int = 0) -> Pixels:
    """RGB pictures uint8 [B, 128, 128, 3] -> sheets RGBA [B, count, 128, 128, 4]; nothing is said of the pictures."""
    trainer, batch = model.trainer, len(pictures)
    opaque = np.concatenate([pictures, np.full((*pictures.shape[:3], 1), 255, np.uint8)], axis=-1)
    picture = trainer.tokens(model.vae.encode(to_tensor(opaque))[0])
    ids, mask = (torch.from_numpy(part) for part in layers_text.encode(trainer.tokenizer, [""] * batch))
    turned = rotations(8, 8, count + 1, ids.shape[1] - layers_text.INSTRUCTION, batch)
    scheduler = build_scheduler()
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / steps, steps), mu=(_CELLS / 256) ** 0.5)
    noise = torch.Generator().manual_seed(seed)
    frames = torch.randn(batch, (count + 1) * _CELLS, 4 * CHANNELS, generator=noise)
    for timestep in scheduler.timesteps:
        sigma = (timestep / 1000).expand(batch)
        velocity = model.net(torch.cat([frames, picture], dim=1), sigma, ids, mask, turned)[:, : frames.shape[1]]
        frames = scheduler.step(velocity, timestep, frames, return_dict=False)[0]
    cells = frames[:, _CELLS:].reshape(batch * count, _CELLS, -1).transpose(1, 2).reshape(batch * count, -1, 8, 8)
    latents = pixel_shuffle(cells, 2) * trainer.std.view(1, -1, 1, 1) + trainer.mean.view(1, -1, 1, 1)
    sheets = to_sheets(model.vae.decode(latents))
    return sheets.reshape(batch, count, *sheets.shape[1:])
