"""The layers of a module that adapters may change."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from engine.checkpoints.quantised import QuantisedLinear
from families.lora.keys import LoraPart, part_of
from families.lora.layout import Shape

Adaptable = nn.Linear | nn.Conv2d | QuantisedLinear


@dataclass(frozen=True, slots=True)
class AdaptableLayers:
    """By part and by name, as the part's own diffusers or transformers class names them."""

    parts: Mapping[LoraPart, Mapping[str, Adaptable]]

    @property
    def shapes(self) -> dict[LoraPart, dict[str, Shape]]:
        """The weights' shapes, [out, in] or [out, in, height, width]."""
        return {
            part: {name: weight_shape(layer) for name, layer in layers.items()} for part, layers in self.parts.items()
        }


def adaptable_layers(module: nn.Module, parts: Mapping[str, nn.Module]) -> AdaptableLayers:
    """Of a component that was made of these parts, by diffusers' folder names; only what the component still uses."""
    used = set(module.modules())
    found: dict[LoraPart, dict[str, Adaptable]] = {}
    for folder, root in parts.items():
        part = part_of(folder)
        if part is not None:
            layers = {
                name: layer for name, layer in root.named_modules() if layer in used and isinstance(layer, Adaptable)
            }
            found[part] = layers
    return AdaptableLayers(found)


def weight_shape(layer: Adaptable) -> Shape:
    """Of the matrix or the kernel, also where it lies in blocks."""
    if isinstance(layer, nn.Conv2d):
        return tuple(layer.weight.shape)
    return (layer.out_features, layer.in_features)
