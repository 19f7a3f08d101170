"""FLUX.2's transformer with positions as inputs: tokens in, tokens out, every input with a batch axis."""

import torch
from diffusers import Flux2Transformer2DModel
from diffusers.models.transformers.transformer_flux2 import Flux2Attention, Flux2ParallelSelfAttention
from torch import nn

from engine.modules.rotary import Rotation, attend, joined, rotate, split_heads


class Transformer(nn.Module):
    """sample [B, S, 128], timestep [B] in [0, 1], context [B, N, J] -> velocity [B, S, 128].

    Rotations, float32 [B, S or N, 64]: `image_cos`, `image_sin`, `text_cos`, `text_sin`, of diffusers' `pos_embed` at
    the tokens' ids (there each angle stands twice, here once). Models with embedded guidance are not supported.
    """

    def __init__(self, transformer: Flux2Transformer2DModel) -> None:
        super().__init__()
        if transformer.config.guidance_embeds:
            raise ValueError("FLUX.2 models with embedded guidance are not supported")
        self.transformer = transformer
        for block in transformer.transformer_blocks:
            block.attn.set_processor(_JointAttention())
        for block in transformer.single_transformer_blocks:
            block.attn.set_processor(_ParallelAttention())

    def forward(  # noqa: PLR0917 - one parameter an input
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        context: torch.Tensor,
        image_cos: torch.Tensor,
        image_sin: torch.Tensor,
        text_cos: torch.Tensor,
        text_sin: torch.Tensor,
    ) -> torch.Tensor:
        """See the class."""
        model = self.transformer
        embedding = model.time_guidance_embed
        # Embedded in float32: half precision would round 987.3 to 987.5.
        time = embedding.timestep_embedder(embedding.time_proj(timestep * 1000).to(sample.dtype))
        rotation = joined(Rotation(text_cos, text_sin), Rotation(image_cos, image_sin))
        image_modulation = model.double_stream_modulation_img(time)
        text_modulation = model.double_stream_modulation_txt(time)
        modulation = model.single_stream_modulation(time)
        image, text = model.x_embedder(sample), model.context_embedder(context)
        for block in model.transformer_blocks:
            text, image = block(image, text, image_modulation, text_modulation, rotation)
        tokens = torch.cat((text, image), dim=1)
        for block in model.single_transformer_blocks:
            tokens = block(tokens, None, modulation, rotation)
        velocity: torch.Tensor = model.proj_out(model.norm_out(tokens[:, context.shape[1] :], time))
        return velocity


class _JointAttention:
    """Text and image tokens attend to all of each other; each has projections of its own."""

    def __call__(
        self,
        attn: Flux2Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        _attention_mask: None,
        image_rotary_emb: Rotation,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, S, D] and [B, N, D] -> both again; the names are those of diffusers' call."""
        image, text = hidden_states, encoder_hidden_states
        query = _joined_heads(
            attn, attn.norm_added_q(_heads(attn, attn.add_q_proj(text))), attn.norm_q, attn.to_q(image)
        )
        key = _joined_heads(attn, attn.norm_added_k(_heads(attn, attn.add_k_proj(text))), attn.norm_k, attn.to_k(image))
        value = torch.cat((_heads(attn, attn.add_v_proj(text)), _heads(attn, attn.to_v(image))), dim=1)
        attended = attend(rotate(query, image_rotary_emb), rotate(key, image_rotary_emb), value)
        length = text.shape[1]
        return attn.to_out[0](attended[:, length:]), attn.to_add_out(attended[:, :length])


class _ParallelAttention:
    """Attention and feed-forward side by side, between one product in and one out."""

    def __call__(
        self,
        attn: Flux2ParallelSelfAttention,
        hidden_states: torch.Tensor,
        _attention_mask: None,
        image_rotary_emb: Rotation,
    ) -> torch.Tensor:
        """[B, T, D] -> the same; the names are those of diffusers' call."""
        width = 3 * attn.inner_dim
        projected = attn.to_qkv_mlp_proj(hidden_states)
        query, key, value = (_heads(attn, part) for part in projected[..., :width].chunk(3, dim=-1))
        query, key = attn.norm_q(query), attn.norm_k(key)
        attended = attend(rotate(query, image_rotary_emb), rotate(key, image_rotary_emb), value)
        mixed: torch.Tensor = attn.to_out(torch.cat((attended, attn.mlp_act_fn(projected[..., width:])), dim=-1))
        return mixed


def _heads(attn: Flux2Attention | Flux2ParallelSelfAttention, tokens: torch.Tensor) -> torch.Tensor:
    return split_heads(tokens, attn.heads)


def _joined_heads(attn: Flux2Attention, text: torch.Tensor, norm: nn.Module, image: torch.Tensor) -> torch.Tensor:
    return torch.cat((text, norm(_heads(attn, image))), dim=1)
