"""NVFP4: 4-bit floats in blocks of 16, a float8 scale a block, one float32 scale for all blocks.

Blackwell multiplies it natively. Weights are rounded here; activations while the engine runs, by TensorRT's operator.
"""

import torch
from torch import nn

from export.quantise.onnx_ops import dequantize_blocks, dequantize_linear, quantize_fp4_blocks
from export.quantise.weights import FP8_MAX, StoredWeight, positive_scale

BLOCK = 16
FP4_MAX = 6.0
_VALUES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
# Values in between round to the nearer neighbour; one exactly half way goes to the even code.
_BORDERS = (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0)
_SMALLEST_FP8 = 2.0**-9


def second_level_scale(amax: torch.Tensor) -> torch.Tensor:
    """The scale float32 [] with which the float8 scale of a block that holds `amax` is the largest there is."""
    return positive_scale(amax.max(), FP4_MAX * FP8_MAX)


def block_scales(values: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """float8 [..., n / 16] for values [..., n], in multiples of `scale`."""
    largest = _blocks(values).abs().amax(-1)
    steps = positive_scale(largest, FP4_MAX) / scale
    return steps.clamp(_SMALLEST_FP8, FP8_MAX).to(torch.float8_e4m3fn)


def fp4_codes(values: torch.Tensor) -> torch.Tensor:
    """4-bit codes in uint8, sign in the highest of the four; beyond 6 values saturate."""
    magnitude = values.abs().contiguous()
    borders = torch.tensor(_BORDERS, device=values.device)
    below, above = torch.bucketize(magnitude, borders), torch.bucketize(magnitude, borders, right=True)
    code = torch.where(below % 2 == 0, below, above)
    return (code + 8 * (values < 0)).to(torch.uint8)


def fp4_values(codes: torch.Tensor) -> torch.Tensor:
    """float32 values of codes."""
    table = torch.tensor(_VALUES, device=codes.device)
    return torch.cat([table, -table])[codes.long()]


class Fp4Weight(StoredWeight):
    """`stored` uint8 [out, in / 2]: two values a byte, the even one in the lower half."""

    stored: torch.Tensor
    block_scales: torch.Tensor
    scale: torch.Tensor

    def __init__(self, stored: torch.Tensor, scales: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("stored", stored)
        self.register_buffer("block_scales", scales)
        self.register_buffer("scale", scale)

    @classmethod
    def of(cls, weight: torch.Tensor, amax: torch.Tensor) -> "Fp4Weight":
        """Round `weight` [out, in], `in` in blocks of 16; `amax` is its largest magnitude."""
        scale = second_level_scale(amax)
        scales = block_scales(weight.float(), scale)
        codes = fp4_codes(_blocks(weight.float()) / (scales.float() * scale).unsqueeze(-1)).flatten(-2)
        packed = codes[:, ::2] | (codes[:, 1::2] << 4)
        return cls(packed.view(torch.float4_e2m1fn_x2), scales, scale)

    @property
    def outputs(self) -> int:
        """See the base."""
        return self.stored.shape[0]

    def forward(self) -> torch.Tensor:
        """See the base."""
        if torch.onnx.is_in_onnx_export():
            scales = dequantize_linear(self.block_scales, self.scale)
            return dequantize_blocks(self.stored, scales, BLOCK, (self.outputs, scales.shape[1] * BLOCK))
        packed = self.stored.view(torch.uint8)
        codes = torch.stack([packed & 15, packed >> 4], -1).flatten(-2)
        scales = self.block_scales.float() * self.scale
        return (_blocks(fp4_values(codes)) * scales.unsqueeze(-1)).flatten(-2)

    def rows(self, start: int, stop: int) -> "Fp4Weight":
        """See the base."""
        packed = self.stored.view(torch.uint8)[start:stop].contiguous()
        return Fp4Weight(packed.view(torch.float4_e2m1fn_x2), self.block_scales[start:stop].contiguous(), self.scale)

    def as_matrix(self) -> "Fp4Weight":
        """See the base."""
        return self


class Fp4Activation(nn.Module):
    """Rounds [..., n] in blocks of 16 along the last axis; `scale` is the second level, found by calibration."""

    scale: torch.Tensor

    def __init__(self, amax: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", second_level_scale(amax))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Any shape -> the same shape and type."""
        scale = self.scale.float()
        if torch.onnx.is_in_onnx_export():
            stored, scales = quantize_fp4_blocks(values, scale, BLOCK)
            return dequantize_blocks(stored, dequantize_linear(scales, scale), BLOCK, values.shape).to(values.dtype)
        steps = block_scales(values.float(), scale).float() * scale
        codes = fp4_codes(_blocks(values.float()) / steps.unsqueeze(-1))
        return (fp4_values(codes) * steps.unsqueeze(-1)).flatten(-2).to(values.dtype)


def _blocks(values: torch.Tensor) -> torch.Tensor:
    """[..., n] -> [..., n / 16, 16]."""
    return values.reshape(*values.shape[:-1], -1, BLOCK)
