"""Qwen-Image's transformer with positions as inputs: tokens in, tokens out, every input with a batch axis."""

import torch
from diffusers import QwenImageTransformer2DModel
from diffusers.models.attention_processor import Attention
from torch import nn

from engine.modules.rotary import Rotation, attend, rotate, split_heads


class Transformer(nn.Module):
    """sample [B, S, 64], timestep [B] in [0, 1], context [B, N, 3584], context_mask bool [B, N] -> velocity [B, S, 64].

    Rotations, float32 [B, S or N, 64]: `image_cos`, `image_sin`, `text_cos`, `text_sin`, the real and imaginary parts
    of diffusers' `pos_embed`. `layered` int64 [B] is the layered model's `additional_t_cond`, others leave it out.
    """

    def __init__(self, transformer: QwenImageTransformer2DModel) -> None:
        super().__init__()
        if transformer.zero_cond_t:
            raise ValueError("Qwen-Image models with a second timestep for conditions are not supported")
        self.transformer = transformer
        for block in transformer.transformer_blocks:
            block.attn.set_processor(_JointAttention())

    def forward(  # noqa: PLR0917 - one parameter an input
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        context: torch.Tensor,
        context_mask: torch.Tensor,
        image_cos: torch.Tensor,
        image_sin: torch.Tensor,
        text_cos: torch.Tensor,
        text_sin: torch.Tensor,
        layered: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """See the class."""
        model = self.transformer
        image, text = model.img_in(sample), model.txt_in(model.txt_norm(context))
        time = model.time_text_embed(timestep, image, layered)
        rotations = (Rotation(image_cos, image_sin), Rotation(text_cos, text_sin))
        for block in model.transformer_blocks:
            text, image = block(image, text, context_mask, time, rotations)
        velocity: torch.Tensor = model.proj_out(model.norm_out(image, time))
        return velocity


class _JointAttention:
    """Text and image tokens attend to all of each other; padding of the text is not attended to."""

    def __call__(  # noqa: PLR0917 - diffusers' call
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_hidden_states_mask: torch.Tensor,
        image_rotary_emb: tuple[Rotation, Rotation],
        attention_mask: None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, S, D] and [B, N, D] -> both again; the names are those of diffusers' call."""
        image, text = hidden_states, encoder_hidden_states
        of_image, of_text = image_rotary_emb

        def heads(tokens: torch.Tensor) -> torch.Tensor:
            return split_heads(tokens, attn.heads)

        query = torch.cat(
            (
                rotate(attn.norm_added_q(heads(attn.add_q_proj(text))), of_text),
                rotate(attn.norm_q(heads(attn.to_q(image))), of_image),
            ),
            dim=1,
        )
        key = torch.cat(
            (
                rotate(attn.norm_added_k(heads(attn.add_k_proj(text))), of_text),
                rotate(attn.norm_k(heads(attn.to_k(image))), of_image),
            ),
            dim=1,
        )
        value = torch.cat((heads(attn.add_v_proj(text)), heads(attn.to_v(image))), dim=1)
        mask = torch.cat((encoder_hidden_states_mask, torch.ones_like(image[..., 0], dtype=torch.bool)), dim=1)
        attended = attend(query, key, value, mask)
        length = text.shape[1]
        return attn.to_out[0](attended[:, length:]), attn.to_add_out(attended[:, :length])
