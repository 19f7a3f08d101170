"""A module that computes in half precision between inputs and outputs of the types that its signature says."""

from __future__ import annotations

import torch
from torch import nn

from export.recipe import Precision
from families.tensors import ComponentSignature, DType

TORCH_TYPES = {Precision.FP32: torch.float32, Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}

# Sums over thousands of values, which overflow or lose their digits in half precision.
_SENSITIVE_TYPES = (nn.GroupNorm, nn.LayerNorm)
# Models turn their heads by rotations in float32; pixel counts over 2048 are not numbers of float16.
_EXACT_INPUTS = ("_cos", "_sin", "time_ids")
# The embedded time scales and shifts every block; it is a handful of numbers.
_SENSITIVE_NAMES = ("time_embedding", "time_embed", "timestep_embedder", "add_embedding")
# Waves between -1 and 1, computed in float32, that SDXL joins with the prompt's embedding.
_JOINED_NAMES = ("add_time_proj",)


def in_precision(module: nn.Module, signature: ComponentSignature, precision: Precision) -> nn.Module:
    """`module`, rewritten in place to compute in `precision`; inputs and outputs keep the types of `signature`.

    Norms and the embedding of the timestep stay in float32. Parameters that have the type already are not copied.
    """
    if precision is Precision.FP32:
        return module
    dtype = TORCH_TYPES[precision]
    _keep_sensitive(module, dtype)
    _narrow(module, dtype)
    # One number a row is a timestep: rounding it to half precision would move it by a whole step.
    narrowed = tuple(
        spec.dtype is DType.FP32 and bool(spec.dims) and not spec.name.endswith(_EXACT_INPUTS)
        for spec in signature.inputs
    )
    return _Narrowed(module, dtype, narrowed)


class _Narrowed(nn.Module):
    """Casts at the border."""

    def __init__(self, module: nn.Module, dtype: torch.dtype, narrowed: tuple[bool, ...]) -> None:
        super().__init__()
        self.module, self.dtype, self.narrowed = module, dtype, narrowed

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        cast = [value.to(self.dtype) if narrow else value for value, narrow in zip(inputs, self.narrowed, strict=True)]
        outputs = self.module(*cast)
        return tuple(_widened(output) for output in outputs) if isinstance(outputs, tuple) else _widened(outputs)


class _Float32(nn.Module):
    """Computes in float32 and answers in the type that it was asked in."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.float()

    def forward(self, values: torch.Tensor, *others: torch.Tensor | None) -> torch.Tensor:
        wide = (other if other is None else other.float() for other in others)
        result: torch.Tensor = self.module(values.float(), *wide).to(values.dtype)
        return result


class _InType(nn.Module):
    """Answers in `dtype`: torch joins values of two types in the wider one, ONNX only values of one type."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module, self.dtype = module, dtype

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.module(values).to(self.dtype)
        return result


def _narrow(module: nn.Module, dtype: torch.dtype) -> None:
    """One parameter at a time, so that no moment holds the whole module twice."""
    for name, parameter in module._parameters.items():
        if parameter is not None and parameter.dtype is torch.float32:
            module._parameters[name] = nn.Parameter(parameter.detach().to(dtype), requires_grad=False)
    for name, buffer in module._buffers.items():
        if buffer is not None and buffer.dtype is torch.float32:
            module._buffers[name] = buffer.to(dtype)
    for child in module.children():
        if not isinstance(child, _Float32):
            _narrow(child, dtype)


def _keep_sensitive(module: nn.Module, dtype: torch.dtype) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, _SENSITIVE_TYPES) or name in _SENSITIVE_NAMES:
            setattr(module, name, _Float32(child))
        elif name in _JOINED_NAMES:
            setattr(module, name, _InType(child, dtype))
        else:
            _keep_sensitive(child, dtype)


def _widened(output: torch.Tensor) -> torch.Tensor:
    return output.float() if output.is_floating_point() else output
