"""Stable Diffusion 3's components, beside the VAE's, which are Stable Diffusion's."""

import torch
from diffusers import SD3Transformer2DModel
from diffusers.models.embeddings import PatchEmbed
from torch import nn
from torch.nn.functional import pad
from transformers import CLIPTextModelWithProjection, T5EncoderModel

from families.sd3 import T5_LENGTH

_PENULTIMATE = -2


class ClipTextEncoder(nn.Module):
    """input_ids, input_ids_2 int64 [B, N] -> context float32 [B, N, D + D2], pooled float32 [B, P + P2].

    Both encoders' last layers but one, and their embeddings of the whole prompt, side by side.
    """

    def __init__(self, first: CLIPTextModelWithProjection, second: CLIPTextModelWithProjection) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, input_ids: torch.Tensor, input_ids_2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        states = (
            self.first(input_ids, output_hidden_states=True),
            self.second(input_ids_2, output_hidden_states=True),
        )
        context = torch.cat([state.hidden_states[_PENULTIMATE] for state in states], dim=-1)
        return context, torch.cat([state.text_embeds for state in states], dim=-1)


class TextEncoder(nn.Module):
    """input_ids_3 int64 [B, M], input_ids, input_ids_2 int64 [B, N] -> context float32 [B, N + M, J], pooled [B, P].

    CLIP's context, filled up with zeros to the width of T5's, which follows.
    """

    def __init__(
        self, first: CLIPTextModelWithProjection, second: CLIPTextModelWithProjection, third: T5EncoderModel
    ) -> None:
        super().__init__()
        third.encoder.embed_tokens = third.shared  # tied, and loaded apart
        self.clip = ClipTextEncoder(first, second)
        self.t5 = third

    def forward(
        self, input_ids_3: torch.Tensor, input_ids: torch.Tensor, input_ids_2: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        context, pooled = self.clip(input_ids, input_ids_2)
        long = self.t5(input_ids_3).last_hidden_state
        return torch.cat((pad(context, (0, long.shape[-1] - context.shape[-1])), long), dim=1), pooled


class PatchEmbedding(nn.Module):
    """sample [B, C, h, w] -> tokens [B, (h / p) * (w / p), D] with the middle of the table of positions added.

    diffusers crops the table by Python numbers, which a compiled graph would take for constants. The table reaches as
    far as the manifest's largest side.
    """

    table: torch.Tensor

    def __init__(self, embedding: PatchEmbed) -> None:
        super().__init__()
        self.projection = embedding.proj
        self.side = int(embedding.pos_embed_max_size)
        self.register_buffer("table", embedding.pos_embed[0])

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        """See the class."""
        patches = self.projection(sample)
        height, width = patches.shape[2:]
        rows = torch.arange(height, device=sample.device) + (self.side - height) // 2
        columns = torch.arange(width, device=sample.device) + (self.side - width) // 2
        places = (rows[:, None] * self.side + columns).flatten()
        tokens: torch.Tensor = patches.flatten(2).transpose(1, 2) + self.table[places]
        return tokens.to(patches.dtype)


class Denoiser(nn.Module):
    """sample [B, C, h, w], timestep [B], context [B, N, J], pooled [B, P] -> prediction [B, C, h, w].

    Sides are multiples of the transformer's patch; timesteps run from 1000 to 0.
    """

    def __init__(self, transformer: SD3Transformer2DModel) -> None:
        super().__init__()
        transformer.pos_embed = PatchEmbedding(transformer.pos_embed)
        self.transformer = transformer

    def forward(
        self, sample: torch.Tensor, timestep: torch.Tensor, context: torch.Tensor, pooled: torch.Tensor
    ) -> torch.Tensor:
        """See the class."""
        prediction: torch.Tensor = self.transformer(sample, context, pooled, timestep, return_dict=False)[0]
        return prediction


class ClipDenoiser(Denoiser):
    """The same without T5: context [B, N, D + D2] is CLIP's, zeros stand for what is missing."""

    def __init__(self, transformer: SD3Transformer2DModel) -> None:
        super().__init__(transformer)
        self.width = int(transformer.config.joint_attention_dim)

    def forward(
        self, sample: torch.Tensor, timestep: torch.Tensor, context: torch.Tensor, pooled: torch.Tensor
    ) -> torch.Tensor:
        """See the class."""
        filled = pad(context, (0, self.width - context.shape[-1], 0, T5_LENGTH))
        return super().forward(sample, timestep, filled, pooled)
