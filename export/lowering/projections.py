"""Projections of a transformer as layers on rows of tokens, plain or quantised."""

import torch
from torch import nn
from torch.nn import functional

from export.quantise.layers import QuantisedConv2d, QuantisedLinear


def halves(projection: nn.Linear | QuantisedLinear) -> tuple[nn.Module, nn.Module]:
    """Two layers, which give the first and the second half of the outputs."""
    if isinstance(projection, QuantisedLinear):
        first, second = projection.split(2)
        return first, second
    weights = projection.weight.chunk(2)
    biases = (None, None) if projection.bias is None else projection.bias.chunk(2)
    return _linear(weights[0], biases[0]), _linear(weights[1], biases[1])


def on_rows(projection: nn.Module) -> nn.Module:
    """A linear layer or a 1x1 convolution as a layer on rows [B * N, C]."""
    if isinstance(projection, nn.Linear | QuantisedLinear):
        return projection
    if isinstance(projection, QuantisedConv2d):
        return projection.as_linear()
    assert isinstance(projection, nn.Conv2d)
    return _linear(projection.weight.flatten(1), projection.bias)


class NormedProjection(nn.Module):
    """A group norm, then a projection of its pixels: [B, C, h, w] -> [B * N, D]."""

    def __init__(self, norm: nn.GroupNorm, projection: nn.Module) -> None:
        super().__init__()
        self.groups, self.epsilon = norm.num_groups, norm.eps
        self.projection = on_rows(projection)
        self.register_buffer("scale", None)
        self.register_buffer("shift", None)
        if isinstance(self.projection, nn.Linear):
            # Scale and shift of the norm go into the product.
            weight, bias = self.projection.weight, self.projection.bias
            self.projection = _linear(weight * norm.weight, bias + weight @ norm.bias)
        else:
            self.scale, self.shift = norm.weight.detach(), norm.bias.detach()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """See the class."""
        batch, channels = image.shape[:2]
        # A group norm without scale and shift; torch's own would be exported with a scale of ones and a shift of zeros.
        # Its sums are over thousands of values: in float32 whatever the rest computes in.
        grouped = image.reshape(batch, self.groups, -1).float()
        normed = functional.instance_norm(grouped, eps=self.epsilon).to(image.dtype)
        tokens = normed.reshape(batch, channels, -1).transpose(1, 2).reshape(-1, channels)
        if self.scale is not None:
            tokens = tokens * self.scale + self.shift
        projected: torch.Tensor = self.projection(tokens)
        return projected


def _linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().contiguous(), requires_grad=False)
    return layer
