"""Stable Diffusion XL's components, beside the VAE's, which are Stable Diffusion's."""

import torch
from diffusers import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection

_PENULTIMATE = -2


class TextEncoder(nn.Module):
    """input_ids, input_ids_2 int64 [B, N] -> context float32 [B, N, D + D2], text_embeds float32 [B, P].

    The context is what both encoders' last layers but one give, the embedding of the whole prompt the second's.
    """

    def __init__(self, first: CLIPTextModel, second: CLIPTextModelWithProjection) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, input_ids: torch.Tensor, input_ids_2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        first = self.first(input_ids, output_hidden_states=True)
        second = self.second(input_ids_2, output_hidden_states=True)
        hidden = [states.hidden_states[_PENULTIMATE] for states in (first, second)]
        return torch.cat(hidden, dim=-1), second.text_embeds


class Denoiser(nn.Module):
    """sample float32 [B, C, h, w], timestep float32 [B], context float32 [B, N, D], text_embeds float32 [B, P],
    time_ids float32 [B, 6] -> prediction [B, C, h, w].
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        context: torch.Tensor,
        text_embeds: torch.Tensor,
        time_ids: torch.Tensor,
    ) -> torch.Tensor:
        """See the class."""
        added = {"text_embeds": text_embeds, "time_ids": time_ids}
        prediction: torch.Tensor = self.unet(sample, timestep, context, added_cond_kwargs=added, return_dict=False)[0]
        return prediction
