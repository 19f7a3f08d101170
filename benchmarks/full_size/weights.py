"""Modules of real size with random weights, without ever holding them in float32 twice."""

import math
from collections.abc import Callable

import torch
from torch import nn

SEED = 0
_STRIP = 1 << 24  # numbers drawn at a time


def with_random_weights(make: Callable[[], nn.Module], dtype: torch.dtype) -> nn.Module:
    """Build the module without memory, then give it weights in `dtype` that keep activations near 1.

    Equal calls give equal weights. Buffers that the constructor computes are computed again.
    """
    with torch.device("meta"):
        module = make().to(dtype)
    buffers = {name: (buffer.shape, buffer.dtype) for name, buffer in module.named_buffers()}
    module.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            _fill(name, parameter, generator)
        for name, (shape, _) in buffers.items():
            if not name.endswith("position_ids"):
                raise ValueError(f"buffer {name} {tuple(shape)} cannot be computed again here")
            module.get_buffer(name).copy_(torch.arange(shape[-1]).expand(shape))
    return module.eval().requires_grad_(False)


def _fill(name: str, parameter: torch.Tensor, generator: torch.Generator) -> None:
    if parameter.dim() < 2:  # scales of norms and biases
        parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        return
    embedding = "embedding.weight" in name
    scale = 0.02 if embedding else 1 / math.sqrt(parameter[0].numel())
    flat = parameter.view(-1)
    for start in range(0, flat.numel(), _STRIP):
        part = flat[start : start + _STRIP]
        part.copy_(torch.randn(part.numel(), generator=generator).mul_(scale))
