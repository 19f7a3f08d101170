"""Upsampling for every latent size, without diffusers' branches on sizes that tracing would bake in."""

import torch
from diffusers.models.upsampling import Upsample2D
from torch import nn
from torch.nn import functional

from export.lowering.attend import Attend

_COUNTER = "num_upsamplers"
# Any latent side is smaller than 2**40, so "is the side a multiple of 2**num_upsamplers?" is always no.
_MANY_UPSAMPLERS = 40


def always_forward_upsample_size(module: nn.Module) -> None:
    """Make diffusers' UNet size every upsampling by its skip connection.

    `UNet2DConditionModel.forward` does that only where a latent side is no multiple of 2**num_upsamplers. Tracing
    would bake one side of the branch; the explicit size is right for every side and equal on multiples.
    """
    for part in module.modules():
        if hasattr(part, _COUNTER):
            setattr(part, _COUNTER, _MANY_UPSAMPLERS)


class SizedUpsample(nn.Module):
    """Nearest-neighbour upsampling and a convolution.

    diffusers' version branches on the number of rows and of elements, which would limit the graph to 63 rows. (Four
    2x2 convolutions before the upsampling instead of one 3x3 after it need 4/9 of the products, but what is saved goes
    into the relayout: 2 % on the VAE.)
    """

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, hidden_states: torch.Tensor, output_size: torch.Size | None = None) -> torch.Tensor:
        """[B, C, h, w] -> [B, C, H, W], where (H, W) is `output_size` or twice (h, w)."""
        if output_size is None:
            larger = functional.interpolate(hidden_states, scale_factor=2.0, mode="nearest")
        else:
            larger = functional.interpolate(hidden_states, size=tuple(output_size), mode="nearest")
        convolved: torch.Tensor = self.conv(larger)
        return convolved


def rewrite_upsampling(module: nn.Module, _attend: Attend) -> nn.Module | None:
    """Replaces diffusers' plain Upsample2D; other kinds stay."""
    if not isinstance(module, Upsample2D) or module.use_conv_transpose or module.norm is not None:
        return None
    if not module.interpolate or not module.use_conv or module.name != "conv":
        return None
    return SizedUpsample(module.conv)
