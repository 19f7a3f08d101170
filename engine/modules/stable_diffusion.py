"""Stable Diffusion's components: positional tensors in, tensors out, every input with a batch axis."""

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel

from engine.modules.pixels import from_pixels, to_pixels


class TextEncoder(nn.Module):
    """input_ids int64 [B, N] -> context float32 [B, N, D]: CLIP's last hidden state, as the UNet was trained on."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """See the class."""
        context: torch.Tensor = self.encoder(input_ids).last_hidden_state
        return context


class Denoiser(nn.Module):
    """sample float32 [B, C, h, w], timestep float32 [B], context float32 [B, N, D] -> prediction [B, C, h, w]."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """See the class."""
        prediction: torch.Tensor = self.unet(sample, timestep, context, return_dict=False)[0]
        return prediction


class VaeEncoder(nn.Module):
    """pixels uint8 [B, H, W, 3] -> latents float32 [B, C, h, w] as the sampler wants them: the posterior's mode."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae
        self.scaling_factor = float(vae.config.scaling_factor)
        self.shift_factor = float(vae.config.get("shift_factor") or 0.0)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """See the class."""
        image = from_pixels(pixels, self.vae.encoder)
        moments = self.vae.quant_conv(self.vae.encoder(image)) if self.vae.quant_conv else self.vae.encoder(image)
        mean = moments.chunk(2, dim=1)[0]
        latents: torch.Tensor = (mean - self.shift_factor) * self.scaling_factor
        return latents


class VaeDecoder(nn.Module):
    """latents float32 [B, C, h, w], as the sampler leaves them -> pixels uint8 [B, H, W, 3].

    Scaling and the conversion to bytes are in the graph: a quarter of the bytes cross the wire, and every runtime
    rounds alike.
    """

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae
        self.scaling_factor = float(vae.config.scaling_factor)
        self.shift_factor = float(vae.config.get("shift_factor") or 0.0)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """See the class."""
        image = self.vae.decode(latents / self.scaling_factor + self.shift_factor, return_dict=False)[0]
        return to_pixels(image)
