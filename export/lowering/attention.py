"""An attention of feature maps, as VAEs have one in the middle: all pixels attend to all."""

import torch
from diffusers.models.attention_processor import Attention
from torch import nn

from export.lowering.attend import Attend


class PixelAttention(nn.Module):
    """diffusers' Attention on [B, C, h, w] with a group norm and a residual connection, for one fused operator.

    Written out, 1024x1024 pixels would need a matrix of 16,384 x 16,384 for every row.
    """

    def __init__(self, attention: Attention, attend: Attend) -> None:
        super().__init__()
        self.attend = attend
        self.heads = attention.heads
        self.norm = attention.group_norm
        self.to_q, self.to_k, self.to_v = attention.to_q, attention.to_k, attention.to_v
        self.to_out = attention.to_out[0]
        self.residual = attention.residual_connection
        self.rescale = attention.rescale_output_factor

    def forward(self, hidden_states: torch.Tensor, **_none: object) -> torch.Tensor:
        """[B, C, h, w] -> the same shape; the time embedding that diffusers' blocks pass is None here."""
        batch, channels, height, width = hidden_states.shape
        pixels = self.norm(hidden_states.flatten(2)).transpose(1, 2)
        attended = self.attend(self.to_q(pixels), self.to_k(pixels), self.to_v(pixels), self.heads)
        image = self.to_out(attended).transpose(1, 2).reshape(batch, channels, height, width)
        if self.residual:
            image = image + hidden_states
        scaled: torch.Tensor = image / self.rescale if self.rescale != 1 else image
        return scaled


def rewrite_pixel_attention(module: nn.Module, attend: Attend) -> nn.Module | None:
    """Replaces Attention where it is of this kind; others stay."""
    if not isinstance(module, Attention) or module.group_norm is None:
        return None
    others = (module.spatial_norm, module.norm_q, module.norm_k, module.norm_cross, module.add_k_proj)
    if any(other is not None for other in others) or module.is_cross_attention:
        return None
    return PixelAttention(module, attend)
