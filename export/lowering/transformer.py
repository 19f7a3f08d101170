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

from engine.modules.catvton import PassThrough
from export.lowering.attend import Attend
from export.lowering.projections import NormedProjection, halves, on_rows


class TokenAttention(nn.Module):
    """diffusers' Attention with projections alone: no masks, no norms of its own."""

    def __init__(self, attention: Attention, attend: Attend) -> None:
        super().__init__()
        self.attend = attend
        self.heads = attention.heads
        self.to_q, self.to_k, self.to_v = attention.to_q, attention.to_k, attention.to_v
        self.to_out = attention.to_out[0]

    def forward(self, tokens: torch.Tensor, context: torch.Tensor, batch: int) -> torch.Tensor:
        """tokens [B * N, D], context [B * M, E] -> [B * N, D]."""
        query, key, value = (
            rows.reshape(batch, -1, rows.shape[1])
            for rows in (self.to_q(tokens), self.to_k(context), self.to_v(context))
        )
        attended = self.attend(query, key, value, self.heads)
        projected: torch.Tensor = self.to_out(attended.flatten(0, 1))
        return projected


class TokenGatedFeedForward(nn.Module):
    """GEGLU as two products: splitting one product's result would copy all of it."""

    def __init__(self, gate: GEGLU, out: nn.Linear) -> None:
        super().__init__()
        self.value, self.gate = halves(gate.proj)
        self.out = out

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """[B * N, D] -> [B * N, D]."""
        projected: torch.Tensor = self.out(self.value(tokens) * functional.gelu(self.gate(tokens)))
        return projected


class TokenPassThrough(nn.Module):
    """In place of cross-attention: tokens as they are."""

    def forward(self, tokens: torch.Tensor, _context: torch.Tensor | None, _batch: int) -> torch.Tensor:
        """tokens [B * N, D] -> themselves."""
        return tokens


class TokenBlock(nn.Module):
    """Self-attention, cross-attention, feed-forward, each on normalised tokens and added to them."""

    def __init__(self, block: BasicTransformerBlock, attend: Attend) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = block.norm1, block.norm2, block.norm3
        self.attn1 = TokenAttention(block.attn1, attend)
        skips = isinstance(block.attn2, PassThrough)
        self.attn2 = TokenPassThrough() if skips else TokenAttention(block.attn2, attend)
        self.feed_forward = TokenGatedFeedForward(block.ff.net[0], block.ff.net[2])

    def forward(self, tokens: torch.Tensor, context: torch.Tensor | None, batch: int) -> torch.Tensor:
        """tokens [B * N, D], context [B * M, E] or None where there is no cross-attention -> [B * N, D]."""
        normed = self.norm1(tokens)
        tokens = self.attn1(normed, normed, batch) + tokens
        tokens = self.attn2(self.norm2(tokens), context, batch) + tokens
        total: torch.Tensor = self.feed_forward(self.norm3(tokens)) + tokens
        return total


class TokenTransformer2D(nn.Module):
    """diffusers' Transformer2DModel on tokens."""

    def __init__(self, transformer: Transformer2DModel, attend: Attend) -> None:
        super().__init__()
        self.project_in = NormedProjection(transformer.norm, transformer.proj_in)
        self.blocks = nn.ModuleList(TokenBlock(block, attend) for block in transformer.transformer_blocks)
        self.project_out = on_rows(transformer.proj_out)

    def forward(
        self, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor | None, **_none: object
    ) -> tuple[torch.Tensor]:
        """[B, C, h, w] and context [B, M, E] or None -> ([B, C, h, w],); what else comes is None here."""
        batch, channels, height, width = hidden_states.shape
        tokens = self.project_in(hidden_states)
        context = None if encoder_hidden_states is None else encoder_hidden_states.flatten(0, 1)
        for block in self.blocks:
            tokens = block(tokens, context, batch)
        tokens = self.project_out(tokens)
        image = tokens.reshape(batch, -1, channels).transpose(1, 2).reshape(batch, channels, height, width)
        return (image + hidden_states,)


def rewrite_transformer(module: nn.Module, attend: Attend) -> nn.Module | None:
    """Replaces Transformer2DModel where every block is of Stable Diffusion's kind; others stay."""
    if not isinstance(module, Transformer2DModel) or not module.is_input_continuous:
        return None
    if not all(_is_plain(block) for block in module.transformer_blocks):
        return None
    return TokenTransformer2D(module, attend)


def _is_plain(block: BasicTransformerBlock) -> bool:
    return (
        block.norm_type == "layer_norm"
        and block.pos_embed is None
        and not block.only_cross_attention
        and block.attn2 is not None
        and isinstance(block.ff.net[0], GEGLU)
        and _is_plain_attention(block.attn1)
        and (isinstance(block.attn2, PassThrough) or _is_plain_attention(block.attn2))
    )


def _is_plain_attention(attention: Attention) -> bool:
    """Nothing but projections and heads."""
    extras = (attention.group_norm, attention.spatial_norm, attention.norm_q, attention.norm_k, attention.norm_cross)
    return (
        all(extra is None for extra in extras)
        and attention.rescale_output_factor == 1
        and not attention.residual_connection
    )
