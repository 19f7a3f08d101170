"""CatVTON's denoiser, beside the VAE, which is Stable Diffusion's."""

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from torch import nn

from engine.checkpoints.assign import IGNORED_KEYS

_PROJECTIONS = r"\.attn2\.to_(q|k|v|out)\."


class PassThrough(nn.Module):
    """In place of cross-attention: its output is its input.

    So the block adds its normalised hidden states to themselves, which is what the weights were trained with.
    """

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """hidden_states [B, N, D], as they are."""
        return hidden_states


def without_cross_attention(unet: nn.Module) -> None:
    """Replace every cross-attention, in place; projections that files hold nevertheless have no use."""
    for block in unet.modules():
        if isinstance(block, BasicTransformerBlock):
            block.attn2 = PassThrough()
    setattr(unet, IGNORED_KEYS, [_PROJECTIONS])


class Denoiser(nn.Module):
    """sample float32 [B, C, 2 h, w], timestep float32 [B], inpaint float32 [B, 1 + C, 2 h, w] -> prediction, as sample.

    The person is above and the garment below; `families.catvton.INPAINT` says what each is told.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, inpaint: torch.Tensor) -> torch.Tensor:
        """See the class."""
        told = torch.cat([sample, inpaint], dim=1)
        prediction: torch.Tensor = self.unet(told, timestep, None, return_dict=False)[0]
        return prediction
