"""Adapters merged into the weights that they adapt, for graphs and engines, which have no room beside them."""

from pathlib import Path

import torch

from engine.checkpoints.quantised import QuantisedLinear
from engine.lora.adapter import load_adapter
from engine.lora.layers import AdaptableLayers
from families.lora.errors import LoraError


def merge_adapter(layers: AdaptableLayers, path: Path, scale: float) -> tuple[str, ...]:
    """Add `scale * alpha / rank * up @ down` to the weights, in place; names of the changed layers as `part.layer`.

    A file that adapts none of them changes nothing. Raises LoraError where it does not fit; then nothing has changed.
    """
    names = {layer: f"{part}.{name}" for part, found in layers.parts.items() for name, layer in found.items()}
    adapter = load_adapter(path, layers, torch.device("cpu"))
    changes = []
    for layer, change in adapter.layers.items():
        if isinstance(layer, QuantisedLinear):
            raise LoraError(f"{path}: {names[layer]} is quantised in blocks, which cannot take a change; use torch")
        changes.append((layer, scale * change.weight))
    with torch.no_grad():
        for layer, weight in changes:
            layer.weight += weight.to(layer.weight.device, layer.weight.dtype)
    return tuple(names[layer] for layer, _ in changes)
