"""Matrices that stay in GGUF's blocks and become numbers only while they are used.

The arithmetic is diffusers' port of ggml's, in float32 throughout. Its CUDA kernels, which would be downloaded when
they are first used, are never asked for.
"""

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from families.sources.ggml import GgmlType

_Dequantise = Callable[..., torch.Tensor]


@dataclass(frozen=True, slots=True)
class QuantisedTensor:
    """`blocks` uint8 [number of blocks, bytes of one] of a tensor of this shape."""

    blocks: torch.Tensor
    kind: GgmlType
    shape: torch.Size

    def dequantise(self) -> torch.Tensor:
        """The numbers, float32."""
        return dequantise(self.blocks, self.kind, self.shape)

    def chunk(self, count: int, dim: int = 0) -> tuple["QuantisedTensor", ...]:
        """`count` equal parts along the first axis: blocks run along the last one, so whole rows can be taken apart."""
        rows = self.shape[0]
        if dim != 0 or rows % count or len(self.shape) < 2:
            raise ValueError(f"{list(self.shape)} in blocks cannot be cut into {count} along axis {dim}")
        shape = torch.Size((rows // count, *self.shape[1:]))
        return tuple(QuantisedTensor(part, self.kind, shape) for part in self.blocks.chunk(count))

    @classmethod
    def __torch_function__(
        cls, function: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """What diffusers' conversions do to tensors that they do not only rename."""
        named = kwargs or {}
        if function is torch.chunk:
            return args[0].chunk(*args[1:], **named)
        if function is torch.cat and named.get("dim", 0) == 0:
            return _stacked(args[0])
        return NotImplemented


def _stacked(parts: Sequence[QuantisedTensor]) -> QuantisedTensor:
    """Matrices of one type and width below each other."""
    first = parts[0]
    if any((part.kind, part.shape[1:]) != (first.kind, first.shape[1:]) for part in parts):
        raise ValueError("matrices in blocks of different types or widths cannot be joined")
    shape = torch.Size((sum(part.shape[0] for part in parts), *first.shape[1:]))
    return QuantisedTensor(torch.cat([part.blocks for part in parts]), first.kind, shape)


class QuantisedLinear(nn.Module):
    """nn.Linear on a quantised matrix: [..., in] -> [..., out] in the input's type."""

    blocks: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, weight: QuantisedTensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.kind, self.shape = weight.kind, weight.shape
        self.out_features, self.in_features = weight.shape
        self.register_buffer("blocks", weight.blocks)
        self.register_buffer("bias", bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """See the class."""
        weight = dequantise(self.blocks, self.kind, self.shape).to(inputs.dtype)
        return functional.linear(inputs, weight, self.bias)


def dequantise(blocks: torch.Tensor, kind: GgmlType, shape: torch.Size) -> torch.Tensor:
    """uint8 [n, bytes] -> float32 of `shape`, on the blocks' device."""
    numbers = _functions()[kind.name](blocks, kind.values, kind.bytes, torch.float32)
    return numbers.reshape(shape)


@cache
def _functions() -> dict[str, _Dequantise]:
    """diffusers' functions by ggml's name of the type."""
    os.environ["DIFFUSERS_GGUF_CUDA_KERNELS"] = "false"
    library: Any = importlib.import_module("diffusers.quantizers.gguf.utils")
    return {kind.name: function for kind, function in library.dequantize_functions.items()}
