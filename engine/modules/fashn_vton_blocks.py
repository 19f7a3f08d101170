"""Blocks of FASHN VTON's transformer. Their parameters are called as in the published weights, FLUX.1's names."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from engine.modules.rotary import Rotation, attend, rotate, split_heads

_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Width:
    """Channels of a token, in so many heads, and how many times as many a feed-forward has."""

    hidden: int
    heads: int
    mlp_ratio: float

    @property
    def mlp(self) -> int:
        """Channels of a feed-forward."""
        return int(self.hidden * self.mlp_ratio)


class RootMeanSquareNorm(nn.Module):
    """Of the last axis, computed in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, heads: torch.Tensor) -> torch.Tensor:
        """[..., width] -> the same."""
        exact = heads.float()
        normed = exact * torch.rsqrt(exact.square().mean(-1, keepdim=True) + _EPSILON)
        return normed.to(heads.dtype) * self.scale


class QueryKeyNorm(nn.Module):
    """One norm for queries, one for keys."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_norm = RootMeanSquareNorm(width)
        self.key_norm = RootMeanSquareNorm(width)

    def forward(self, projected: torch.Tensor, heads: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values side by side [B, N, 3 H D] -> each [B, N, H, D], normed but for the values."""
        query, key, value = (split_heads(part, heads) for part in projected.chunk(3, dim=-1))
        return self.query_norm(query).to(value), self.key_norm(key).to(value), value


class Modulation(nn.Module):
    """Shifts, scales and gates from the vector of time and category."""

    def __init__(self, hidden: int, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.lin = nn.Linear(hidden, parts * hidden)

    def forward(self, vector: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[B, hidden] -> `parts` times [B, 1, hidden]: shift, scale, gate, and again."""
        made: torch.Tensor = self.lin(functional.silu(vector))[:, None]
        return made.chunk(self.parts, dim=-1)


class Projections(nn.Module):
    """What a stream needs of an attention that it shares with another."""

    def __init__(self, width: Width) -> None:
        super().__init__()
        self.qkv = nn.Linear(width.hidden, 3 * width.hidden)
        self.norm = QueryKeyNorm(width.hidden // width.heads)
        self.proj = nn.Linear(width.hidden, width.hidden)


class DoubleBlock(nn.Module):
    """Person (`img`) and garment (`txt`, where FLUX.1 has text) attend to all of each other; all else is their own."""

    def __init__(self, width: Width) -> None:
        super().__init__()
        self.heads = width.heads
        self.img_mod, self.txt_mod = Modulation(width.hidden, 6), Modulation(width.hidden, 6)
        self.img_attn, self.txt_attn = Projections(width), Projections(width)
        self.img_mlp, self.txt_mlp = _feed_forward(width), _feed_forward(width)

    def forward(
        self, person: torch.Tensor, garment: torch.Tensor, vector: torch.Tensor, rotation: Rotation
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, N, D] and [B, M, D] -> both again; `rotation` is of the garment's tokens, then the person's."""
        own, other = self.img_mod(vector), self.txt_mod(vector)
        shown = self.img_attn.norm(self.img_attn.qkv(_modulated(person, own[0], own[1])), self.heads)
        worn = self.txt_attn.norm(self.txt_attn.qkv(_modulated(garment, other[0], other[1])), self.heads)
        query, key, value = (torch.cat(pair, dim=1) for pair in zip(worn, shown, strict=True))
        attended = attend(rotate(query, rotation), rotate(key, rotation), value)
        length = garment.shape[1]
        person = person + own[2] * self.img_attn.proj(attended[:, length:])
        garment = garment + other[2] * self.txt_attn.proj(attended[:, :length])
        person = person + own[5] * self.img_mlp(_modulated(person, own[3], own[4]))
        garment = garment + other[5] * self.txt_mlp(_modulated(garment, other[3], other[4]))
        return person, garment


class SingleBlock(nn.Module):
    """Attention and feed-forward side by side, between one product in and one out."""

    def __init__(self, width: Width) -> None:
        super().__init__()
        self.heads, self.attended = width.heads, 3 * width.hidden
        self.linear1 = nn.Linear(width.hidden, 3 * width.hidden + width.mlp)
        self.linear2 = nn.Linear(width.hidden + width.mlp, width.hidden)
        self.norm = QueryKeyNorm(width.hidden // width.heads)
        self.modulation = Modulation(width.hidden, 3)

    def forward(self, tokens: torch.Tensor, vector: torch.Tensor, rotation: Rotation) -> torch.Tensor:
        """[B, N, D] -> the same."""
        shift, scale, gate = self.modulation(vector)
        projected = self.linear1(_modulated(tokens, shift, scale))
        query, key, value = self.norm(projected[..., : self.attended], self.heads)
        attended = attend(rotate(query, rotation), rotate(key, rotation), value)
        fed = functional.gelu(projected[..., self.attended :], approximate="tanh")
        mixed: torch.Tensor = tokens + gate * self.linear2(torch.cat((attended, fed), dim=-1))
        return mixed


class LastLayer(nn.Module):
    """Tokens to patches of pixels."""

    def __init__(self, hidden: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, out)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden, 2 * hidden))

    def forward(self, tokens: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        """[B, N, D] -> [B, N, out]."""
        shift, scale = self.adaLN_modulation(vector)[:, None].chunk(2, dim=-1)
        patches: torch.Tensor = self.linear(_modulated(tokens, shift, scale))
        return patches


def _feed_forward(width: Width) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width.hidden, width.mlp), nn.GELU(approximate="tanh"), nn.Linear(width.mlp, width.hidden)
    )


def _modulated(tokens: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Normalised without weights of its own, then scaled and shifted."""
    return (1 + scale) * functional.layer_norm(tokens, tokens.shape[-1:], eps=_EPSILON) + shift
