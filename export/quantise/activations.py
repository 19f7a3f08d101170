"""Activations on their way into a quantised layer: rounded to what the small type can hold, and back."""

from typing import Self

import torch
from torch import nn

from export.quantise.onnx_ops import dequantize_linear, quantize_linear
from export.quantise.weights import FP8_MAX, INT8_MAX, positive_scale

_INT8_CODES = 256


class ScaledActivation(nn.Module):
    """Rounds to int8 or float8 e4m3 with one scale, found by calibration; beyond it values saturate.

    Inside an export: QuantizeLinear and DequantizeLinear, which engines fuse into the layer that follows.
    """

    scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(self, scale: torch.Tensor, stored: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("zero_point", torch.zeros((), dtype=stored))

    @classmethod
    def int8(cls, amax: torch.Tensor) -> Self:
        """`amax` is the largest magnitude that calibration saw."""
        return cls(positive_scale(amax.max(), INT8_MAX), torch.int8)

    @classmethod
    def fp8(cls, amax: torch.Tensor) -> Self:
        """`amax` is the largest magnitude that calibration saw."""
        return cls(positive_scale(amax.max(), FP8_MAX), torch.float8_e4m3fn)

    @property
    def is_integer(self) -> bool:
        """Whether it rounds to integers."""
        return not self.zero_point.dtype.is_floating_point

    def unsigned(self) -> "ScaledActivation":
        """The same values by codes from 0 to 255; for integers, inside an export alone.

        x86 multiplies unsigned by signed bytes. ONNX Runtime turns signed activations into unsigned ones for that, but
        leaves those that feed two products as they are, which then run without the instructions: a quarter as fast as
        float32.
        """
        other = ScaledActivation(self.scale, torch.uint8)
        other.zero_point.fill_(_INT8_CODES // 2)
        return other

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Any shape -> the same shape and type."""
        if torch.onnx.is_in_onnx_export():
            return dequantize_linear(quantize_linear(values, self.scale, self.zero_point), self.scale, self.zero_point)
        codes = values / self.scale
        if self.zero_point.dtype is torch.int8:
            codes = codes.round().clamp(-INT8_MAX - 1, INT8_MAX)
        else:
            codes = codes.clamp(-FP8_MAX, FP8_MAX).to(torch.float8_e4m3fn).to(values.dtype)
        return codes * self.scale
