"""Between bytes and what autoencoders see: a quarter of the bytes cross the wire, and every runtime rounds alike."""

import torch
from torch import nn


def from_pixels(pixels: torch.Tensor, encoder: nn.Module) -> torch.Tensor:
    """sRGB bytes [B, H, W, C], alpha where there are 4, -> [B, C, H, W] in [-1, 1], of the type that the encoder's
    first layer computes in.
    """
    # Numbers first: TensorRT takes bytes in, but can do nothing with them but turn them into something else.
    image = pixels.to(torch.float32).permute(0, 3, 1, 2) / 127.5 - 1.0
    return image.to(next(encoder.parameters()).dtype)


def to_pixels(image: torch.Tensor) -> torch.Tensor:
    """[B, C, H, W], [-1, 1] and what lies beyond -> sRGB bytes [B, H, W, C]."""
    unit = (image / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
    return (unit * 255).round().to(torch.uint8)
