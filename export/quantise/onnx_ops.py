"""Quantising and dequantising as ONNX operators; they exist only inside an export."""

import torch
from torch.onnx import ops

_FLOAT8E4M3 = 17
"""ONNX's number of the type, as an attribute wants it."""


def quantize_linear(values: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor) -> torch.Tensor:
    """values / scale, rounded and saturated to the type of `zero_point`; one scale for the whole tensor."""
    quantised: torch.Tensor = ops.symbolic(
        "QuantizeLinear", (values, scale, zero_point), dtype=zero_point.dtype, shape=values.shape
    )
    return quantised


def dequantize_linear(
    stored: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor | None = None
) -> torch.Tensor:
    """(stored - zero_point) * scale in the type of `scale`: a scalar, or one value an index of the first axis."""
    inputs = (stored, scale) if zero_point is None else (stored, scale, zero_point)
    values: torch.Tensor = ops.symbolic("DequantizeLinear", inputs, {"axis": 0}, dtype=scale.dtype, shape=stored.shape)
    return values


def dequantize_blocks(
    stored: torch.Tensor, scale: torch.Tensor, block: int, shape: torch.Size | tuple[int, ...]
) -> torch.Tensor:
    """stored * scale, one scale for every `block` values of the last axis. `shape` is that of the values."""
    values: torch.Tensor = ops.symbolic(
        "DequantizeLinear", (stored, scale), {"axis": -1, "block_size": block}, dtype=scale.dtype, shape=shape
    )
    return values


def quantize_fp4_blocks(values: torch.Tensor, scale: torch.Tensor, block: int) -> tuple[torch.Tensor, torch.Tensor]:
    """TensorRT's own operator: FP4 values and FP8 scales of blocks, found while it runs.

    `scale` float32 [] is the second level: what the FP8 scales are multiples of.
    """
    blocks = (*values.shape[:-1], values.shape[-1] // block)
    stored, scales = ops.symbolic_multi_out(
        "trt::TRT_FP4DynamicQuantize",
        (values, scale),
        {"axis": -1, "block_size": block, "scale_type": _FLOAT8E4M3},
        dtypes=(23, torch.float8_e4m3fn),
        shapes=(values.shape, blocks),
        version=1,
    )
    return stored, scales
