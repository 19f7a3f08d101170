"""Linear layers and convolutions with stored weights, and rounded activations where the method rounds them.

In eager torch they compute what an engine computes up to the order of summation, so that quality can be measured where
no engine runs. Inside an export they become the Q/DQ patterns which TensorRT and ONNX Runtime fuse.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from export.quantise.activations import ScaledActivation
from export.quantise.weights import ScaledWeight, StoredWeight

_INT32 = 2**31 - 1


class QuantisedLayer(nn.Module):
    """What both kinds of layer share; `activation` rounds the input, `output` the result where it is not None."""

    bias: torch.Tensor | None

    def __init__(
        self,
        weight: StoredWeight,
        bias: torch.Tensor | None,
        activation: nn.Module | None = None,
        output: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.activation = activation
        self.output = output
        self.stored_bias: ScaledWeight | None = None
        self.register_buffer("bias", bias)

    @property
    def is_integer(self) -> bool:
        """Whether the product is one of integers."""
        return (
            isinstance(self.weight, ScaledWeight)
            and isinstance(self.activation, ScaledActivation)
            and self.weight.stored.dtype is torch.int8
            and self.activation.is_integer
        )

    def store_bias(self) -> None:
        """Round the bias to int32 steps of the integer product, as ONNX Runtime's integer kernels add it."""
        if not self.is_integer or self.bias is None:
            return
        assert isinstance(self.weight, ScaledWeight) and isinstance(self.activation, ScaledActivation)
        scale = self.weight.scale * self.activation.scale
        codes = (self.bias.double() / scale.double()).round().clamp(-_INT32, _INT32)
        self.stored_bias = ScaledWeight(codes.to(torch.int32), scale)
        self.bias = None

    def added(self) -> torch.Tensor | None:
        """The bias as it is added."""
        return self.bias if self.stored_bias is None else self.stored_bias()


class QuantisedLinear(QuantisedLayer):
    """nn.Linear: [..., in] -> [..., out].

    `smoothing` [in] multiplies the input before it is rounded; the weight holds its inverse (SmoothQuant).
    """

    smoothing: torch.Tensor | None

    def __init__(
        self,
        weight: StoredWeight,
        bias: torch.Tensor | None,
        activation: nn.Module | None = None,
        smoothing: torch.Tensor | None = None,
    ) -> None:
        super().__init__(weight, bias, activation)
        self.register_buffer("smoothing", smoothing)
        self.as_rows = False

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if self.smoothing is not None:
            values = values * self.smoothing
        lead = values.shape[:-1]
        if self.as_rows and len(lead) > 1:
            values = values.flatten(0, -2)
        if self.activation is not None:
            values = self.activation(values)
        product = functional.linear(values, self.weight().to(values.dtype), self.added())
        return product.reshape(*lead, -1) if self.as_rows and len(lead) > 1 else product

    def split(self, parts: int) -> tuple["QuantisedLinear", ...]:
        """Layers which give an equal share of the outputs each."""
        width = self.weight.outputs // parts
        return tuple(self._part(start, start + width) for start in range(0, parts * width, width))

    def _part(self, start: int, stop: int) -> "QuantisedLinear":
        bias = None if self.bias is None else self.bias[start:stop].contiguous()
        part = QuantisedLinear(self.weight.rows(start, stop), bias, self.activation, self.smoothing)
        part.stored_bias = None if self.stored_bias is None else self.stored_bias.rows(start, stop)
        part.as_rows = self.as_rows
        return part


@dataclass(frozen=True, slots=True)
class ConvolutionShape:
    """How a convolution moves over the picture."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "ConvolutionShape":
        """The shape of a torch layer whose padding is numbers and zeros."""
        padding = convolution.padding
        assert isinstance(padding, tuple)
        return cls(_pair(convolution.stride), _pair(padding), _pair(convolution.dilation), convolution.groups)


class QuantisedConv2d(QuantisedLayer):
    """nn.Conv2d: [B, in, h, w] -> [B, out, h', w']."""

    def __init__(
        self,
        weight: StoredWeight,
        bias: torch.Tensor | None,
        shape: ConvolutionShape,
        activation: nn.Module | None = None,
        output: nn.Module | None = None,
    ) -> None:
        super().__init__(weight, bias, activation, output)
        self.shape = shape

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if self.activation is not None:
            values = self.activation(values)
        shape = self.shape
        weight = self.weight().to(values.dtype)
        result = functional.conv2d(
            values, weight, self.added(), shape.stride, shape.padding, shape.dilation, shape.groups
        )
        return result if self.output is None else self.output(result)

    def as_linear(self) -> QuantisedLinear:
        """The same product on rows of channels; for a kernel of 1x1. Its result is not rounded."""
        layer = QuantisedLinear(self.weight.as_matrix(), self.bias, self.activation)
        layer.stored_bias = self.stored_bias
        return layer


def _pair(numbers: tuple[int, ...]) -> tuple[int, int]:
    first, second = numbers
    return first, second
