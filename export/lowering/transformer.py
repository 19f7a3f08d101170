"""Stable Diffusion's spatial transformer, shaped for ONNX Runtime's fastest CPU kernels.

Tokens stay two-dimensional ([B * N, D]) so that every projection is one Gemm with its bias inside; heads are split
inside one attention operator; 1x1 convolutions are products of tokens, which spares two relayouts each.
"""

import torch
from diffusers.models.activations import GEGLU
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn
from torch.nn import functional

from export.lowering.onnx_ops import multi_head_attention


class TokenAttention(nn.Module):
    """diffusers' Attention with projections alone: no masks, no norms of its own."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.heads = attention.heads
        self.to_q, self.to_k, self.to_v = attention.to_q, attention.to_k, attention.to_v
        self.to_out = attention.to_out[0]

    def forward(self, tokens: torch.Tensor, context: torch.Tensor, batch: int) -> torch.Tensor:
        """tokens [B * N, D], context [B * M, E] -> [B * N, D]."""
        query, key, value = (
            rows.reshape(batch, -1, rows.shape[1])
            for rows in (self.to_q(tokens), self.to_k(context), self.to_v(context))
        )
        attended = multi_head_attention(query, key, value, self.heads)
        projected: torch.Tensor = self.to_out(attended.flatten(0, 1))
        return projected


class TokenGatedFeedForward(nn.Module):
    """GEGLU as two products: splitting one product's result would copy all of it."""

    def __init__(self, gate: GEGLU, out: nn.Linear) -> None:
        super().__init__()
        self.value_weight, self.gate_weight = (part.contiguous() for part in gate.proj.weight.chunk(2))
        self.value_bias, self.gate_bias = (part.contiguous() for part in gate.proj.bias.chunk(2))
        self.out = out

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """[B * N, D] -> [B * N, D]."""
        value = functional.linear(tokens, self.value_weight, self.value_bias)
        gate = functional.gelu(functional.linear(tokens, self.gate_weight, self.gate_bias))
        projected: torch.Tensor = self.out(value * gate)
        return projected


class TokenBlock(nn.Module):
    """Self-attention, cross-attention, feed-forward, each on normalised tokens and added to them."""

    def __init__(self, block: BasicTransformerBlock) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = block.norm1, block.norm2, block.norm3
        self.attn1, self.attn2 = TokenAttention(block.attn1), TokenAttention(block.attn2)
        self.feed_forward = TokenGatedFeedForward(block.ff.net[0], block.ff.net[2])

    def forward(self, tokens: torch.Tensor, context: torch.Tensor, batch: int) -> torch.Tensor:
        """tokens [B * N, D], context [B * M, E] -> [B * N, D]."""
        normed = self.norm1(tokens)
        tokens = self.attn1(normed, normed, batch) + tokens
        tokens = self.attn2(self.norm2(tokens), context, batch) + tokens
        total: torch.Tensor = self.feed_forward(self.norm3(tokens)) + tokens
        return total


class TokenTransformer2D(nn.Module):
    """diffusers' Transformer2DModel on tokens; the group norm's scale and shift are folded into the first product."""

    def __init__(self, transformer: Transformer2DModel) -> None:
        super().__init__()
        self.groups, self.epsilon = transformer.norm.num_groups, transformer.norm.eps
        self.blocks = nn.ModuleList(TokenBlock(block) for block in transformer.transformer_blocks)
        weight, bias = _as_linear(transformer.proj_in)
        self.weight_in = weight * transformer.norm.weight
        self.bias_in = bias + weight @ transformer.norm.bias
        self.weight_out, self.bias_out = _as_linear(transformer.proj_out)

    def forward(
        self, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, **_none: object
    ) -> tuple[torch.Tensor]:
        """[B, C, h, w] and context [B, M, E] -> ([B, C, h, w],); what else diffusers' blocks pass is None here."""
        batch, channels, height, width = hidden_states.shape
        # A group norm without scale and shift; torch's own would be exported with a scale of ones and a shift of zeros.
        normed = functional.instance_norm(hidden_states.reshape(batch, self.groups, -1), eps=self.epsilon)
        tokens = normed.reshape(batch, channels, -1).transpose(1, 2).reshape(-1, channels)
        tokens = functional.linear(tokens, self.weight_in, self.bias_in)
        context = encoder_hidden_states.flatten(0, 1)
        for block in self.blocks:
            tokens = block(tokens, context, batch)
        tokens = functional.linear(tokens, self.weight_out, self.bias_out)
        image = tokens.reshape(batch, -1, channels).transpose(1, 2).reshape(batch, channels, height, width)
        return (image + hidden_states,)


def rewrite_transformer(module: nn.Module) -> nn.Module | None:
    """Replaces Transformer2DModel where every block is of Stable Diffusion's kind; others stay."""
    if not isinstance(module, Transformer2DModel) or not module.is_input_continuous:
        return None
    if not all(_is_plain(block) for block in module.transformer_blocks):
        return None
    return TokenTransformer2D(module)


def _is_plain(block: BasicTransformerBlock) -> bool:
    return (
        block.norm_type == "layer_norm"
        and block.pos_embed is None
        and not block.only_cross_attention
        and block.attn2 is not None
        and isinstance(block.ff.net[0], GEGLU)
        and all(_is_plain_attention(attention) for attention in (block.attn1, block.attn2))
    )


def _is_plain_attention(attention: Attention) -> bool:
    """Nothing but projections and heads."""
    extras = (attention.group_norm, attention.spatial_norm, attention.norm_q, attention.norm_k, attention.norm_cross)
    return (
        all(extra is None for extra in extras)
        and attention.rescale_output_factor == 1
        and not attention.residual_connection
    )


def _as_linear(projection: nn.Linear | nn.Conv2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight [out, in] and bias of a linear layer or a 1x1 convolution."""
    assert projection.bias is not None
    return projection.weight.flatten(1), projection.bias
