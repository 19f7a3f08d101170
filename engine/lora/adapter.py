"""One adapter's matrices, ready to act on a module's layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from engine.checkpoints.tensors import Stored, open_tensors
from engine.lora.layers import Adaptable, AdaptableLayers, weight_shape
from families.lora.errors import LoraError
from families.lora.files import read_lora
from families.lora.layout import AdaptedLayer


@dataclass(frozen=True, slots=True)
class LowRank:
    """What is added to a layer's output: `factor * up(down(x))`. `down` has the layer's own kernel, `up` one pixel."""

    down: torch.Tensor
    up: torch.Tensor
    factor: float

    def __call__(self, layer: Adaptable, inputs: torch.Tensor) -> torch.Tensor:
        """The change of `layer`'s answer to `inputs`, in their type."""
        values = inputs.to(self.down.dtype)
        if isinstance(layer, nn.Conv2d):
            low = functional.conv2d(values, self.down, None, layer.stride, layer.padding, layer.dilation)
            change = functional.conv2d(low, self.up)
        else:
            change = functional.linear(functional.linear(values, self.down), self.up)
        return (self.factor * change).to(inputs.dtype)

    @property
    def weight(self) -> torch.Tensor:
        """The same change as one of the layer's weight, in its shape."""
        product = self.factor * (self.up.flatten(1) @ self.down.flatten(1))
        return product.reshape(self.up.shape[0], *self.down.shape[1:])

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.down.nbytes + self.up.nbytes


@dataclass(frozen=True, slots=True)
class Adapter:
    """By the layers themselves; none where the file adapts other components of the model alone."""

    layers: Mapping[Adaptable, LowRank]

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return sum(change.nbytes for change in self.layers.values())


def load_adapter(path: Path, layers: AdaptableLayers, device: torch.device) -> Adapter:
    """Read what the file holds for these layers, as float32. Raises LoraError naming the tensor that does not fit."""
    header, adapted = read_lora(path, layers.shapes)
    names = {name for entry in adapted for name in (entry.down, entry.up, entry.alpha) if name is not None}
    stored = open_tensors(header, (header.tensors[name] for name in names))
    return Adapter(
        {
            (layer := layers.parts[entry.part][entry.layer]): _low_rank(path, entry, layer, stored, device)
            for entry in adapted
        }
    )


def _low_rank(
    path: Path, entry: AdaptedLayer, layer: Adaptable, stored: Mapping[str, Stored], device: torch.device
) -> LowRank:
    out, *rest = weight_shape(layer)
    pixel = [1] * (len(rest) - 1)
    down = _numbers(path, entry.down, stored, device).reshape(entry.rank, *rest)
    up = _numbers(path, entry.up, stored, device).reshape(out, entry.rank, *pixel)
    factor = entry.factor
    if entry.alpha is not None:
        factor = float(_numbers(path, entry.alpha, stored, device)) / entry.rank
    return LowRank(down, up, factor)


def _numbers(path: Path, name: str, stored: Mapping[str, Stored], device: torch.device) -> torch.Tensor:
    """A copy: nothing done to the file may reach it."""
    tensor = stored[name]
    assert isinstance(tensor, torch.Tensor), "safetensors hold no blocks"
    numbers = tensor.detach().to(device, torch.float32, copy=True)
    if not bool(torch.isfinite(numbers).all()):
        raise LoraError(f"{path}: tensor {name!r} has numbers that are not finite")
    return numbers
