"""Qwen-Image-Layered's denoiser, which takes a picture apart: the picture is its reference, its latents are frames."""

import torch
from diffusers import QwenImageTransformer2DModel
from torch import nn

from engine.modules import qwen_image_edit
from engine.modules.qwen_image_transformer import Transformer


class Denoiser(qwen_image_edit.Denoiser):
    """As Qwen-Image-Edit's. sample float32 [B, 64, frames * h, w]: frame after frame; reference float32 [B, h * w, 64]:
    the picture; the rotations are those of `families.qwen_image_layered.derive`.
    """

    def __init__(self, transformer: QwenImageTransformer2DModel) -> None:
        super().__init__(transformer)
        self.transformer = _Layered(transformer)


class _Layered(nn.Module):
    """`Transformer`, told as all pipelines tell it that pictures have an alpha channel."""

    def __init__(self, transformer: QwenImageTransformer2DModel) -> None:
        super().__init__()
        self.transformer = Transformer(transformer)

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """See `Transformer`."""
        rgba = torch.zeros_like(timestep, dtype=torch.int64)
        velocity: torch.Tensor = self.transformer(sample, timestep, *others, layered=rgba)
        return velocity
