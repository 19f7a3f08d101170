"""Weights as they are stored: integers or small floats, and the scales that turn them back.

Each is a module without inputs whose call gives the weight. Inside an export the call becomes DequantizeLinear on an
initialiser of the small type, so the file holds what the engine will read.
"""

from typing import Self

import torch
from torch import nn

from export.quantise.onnx_ops import dequantize_linear

INT8_MAX = 127.0
FP8_MAX = 448.0


def positive_scale(amax: torch.Tensor, largest: float) -> torch.Tensor:
    """float32 steps that carry `amax` with a code of `largest`; 1 where all is zero, which any step carries."""
    scale = amax.float() / largest
    return torch.where(scale > 0, scale, torch.ones_like(scale))


class StoredWeight(nn.Module):
    """A weight in a small type, called for its values."""

    def forward(self) -> torch.Tensor:
        """The weight in the type of its scale."""
        raise NotImplementedError

    @property
    def outputs(self) -> int:
        """How many outputs the weight has."""
        raise NotImplementedError

    def rows(self, start: int, stop: int) -> "StoredWeight":
        """The same for some of the outputs."""
        raise NotImplementedError

    def as_matrix(self) -> "StoredWeight":
        """The same as [out, in], for a convolution of 1x1."""
        raise NotImplementedError


class ScaledWeight(StoredWeight):
    """Integers or float8 e4m3 [out, ...]; `scale` is one for all of it, or [out]."""

    stored: torch.Tensor
    scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(self, stored: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("stored", stored)
        self.register_buffer("scale", scale)
        # All zero, yet said: ONNX Runtime fuses no Gemm of int8 whose weight leaves its zero point out.
        self.register_buffer("zero_point", torch.zeros(scale.shape, dtype=stored.dtype))

    @classmethod
    def int8(cls, weight: torch.Tensor, amax: torch.Tensor) -> Self:
        """Round `weight` [out, ...] to symmetric integers; `amax` holds the largest magnitude of each output."""
        scale = positive_scale(amax.flatten(), INT8_MAX)
        codes = (weight.float() / _along_rows(scale, weight)).round().clamp(-INT8_MAX, INT8_MAX)
        return cls(codes.to(torch.int8), scale.to(weight.dtype))

    @classmethod
    def fp8(cls, weight: torch.Tensor, amax: torch.Tensor) -> Self:
        """Round `weight` to float8; `amax` is its largest magnitude."""
        scale = positive_scale(amax.max(), FP8_MAX)
        codes = (weight.float() / scale).clamp(-FP8_MAX, FP8_MAX)
        return cls(codes.to(torch.float8_e4m3fn), scale.to(weight.dtype))

    def forward(self) -> torch.Tensor:
        """See the base."""
        if torch.onnx.is_in_onnx_export():
            return dequantize_linear(self.stored, self.scale, self.zero_point)
        return self.stored.to(self.scale.dtype) * _along_rows(self.scale, self.stored)

    @property
    def outputs(self) -> int:
        """See the base."""
        return self.stored.shape[0]

    def rows(self, start: int, stop: int) -> "ScaledWeight":
        """See the base."""
        scale = self.scale[start:stop].contiguous() if self.scale.ndim else self.scale
        return ScaledWeight(self.stored[start:stop].contiguous(), scale)

    def as_matrix(self) -> "ScaledWeight":
        """See the base."""
        return ScaledWeight(self.stored.flatten(1), self.scale)


def _along_rows(scale: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`scale`, shaped to multiply `weight` output by output."""
    return scale.reshape(-1, *[1] * (weight.ndim - 1)) if scale.ndim else scale
