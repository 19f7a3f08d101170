"""Rotary position embeddings from cosines and sines that are given, not computed: real numbers, a batch axis.

Diffusers computes them inside of the model, from Python lists of sizes, as complex numbers or in float64: compilers
take none of these. As inputs, they let one graph serve every layout of tokens.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Rotation:
    """`cos` and `sin`, float32 [B, N, D / 2]: one angle for every pair of neighbouring channels of a head."""

    cos: torch.Tensor
    sin: torch.Tensor


def rotate(heads: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """Turn [B, N, H, D] pair by pair; computed in float32, given back in the type of `heads`."""
    batch, count, number, width = heads.shape
    pairs = heads.float().reshape(batch, count, number, width // 2, 2)
    real, imaginary = pairs[..., 0], pairs[..., 1]
    cos, sin = rotation.cos.unsqueeze(2), rotation.sin.unsqueeze(2)
    turned = torch.stack((real * cos - imaginary * sin, imaginary * cos + real * sin), dim=-1)
    return turned.flatten(-2).to(heads.dtype)


def joined(first: Rotation, second: Rotation) -> Rotation:
    """The rotations of two runs of tokens, one after the other."""
    return Rotation(torch.cat((first.cos, second.cos), dim=1), torch.cat((first.sin, second.sin), dim=1))


def split_heads(tokens: torch.Tensor, heads: int) -> torch.Tensor:
    """[B, N, H * D] -> [B, N, H, D]."""
    batch, count, width = tokens.shape
    return tokens.reshape(batch, count, heads, width // heads)


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """softmax(q k^T / sqrt(d)) v on [B, N, H, D] -> [B, N, H * D]. `mask`: bool [B, M], True for keys that count."""
    seen = None if mask is None else mask[:, None, None, :]
    attended = functional.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), attn_mask=seen
    )
    return attended.transpose(1, 2).flatten(2)
