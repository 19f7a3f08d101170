"""Stable Diffusion's components: positional tensors in, tensors out, every input with a batch axis."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel


class TextEncoder(nn.Module):
    """input_ids int64 [B, N] -> context float32 [B, N, D]: CLIP's last hidden state, as the UNet was trained on."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        self.encoder = encoder

    @classmethod
    def load(cls, folder: Path) -> "TextEncoder":
        """From a diffusers folder, as float32."""
        encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", local_files_only=True, dtype=torch.float32)
        return cls(encoder)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """See the class."""
        context: torch.Tensor = self.encoder(input_ids).last_hidden_state
        return context


class Denoiser(nn.Module):
    """sample float32 [B, C, h, w], timestep float32 [B], context float32 [B, N, D] -> prediction [B, C, h, w]."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.unet = unet

    @classmethod
    def load(cls, folder: Path) -> "Denoiser":
        """From a diffusers folder, as float32."""
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", local_files_only=True, torch_dtype=torch.float32)
        return cls(unet)

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """See the class."""
        prediction: torch.Tensor = self.unet(sample, timestep, context, return_dict=False)[0]
        return prediction


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

    @classmethod
    def load(cls, folder: Path) -> "VaeDecoder":
        """From a diffusers folder, as float32."""
        vae = AutoencoderKL.from_pretrained(folder / "vae", local_files_only=True, torch_dtype=torch.float32)
        return cls(vae)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """See the class."""
        image = self.vae.decode(latents / self.scaling_factor + self.shift_factor, return_dict=False)[0]
        unit = (image / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
        pixels: torch.Tensor = (unit * 255).round().to(torch.uint8)
        return pixels
