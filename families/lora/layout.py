"""An adapter's tensors, layer by layer of the model that they fit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from families.lora.errors import LoraError
from families.lora.keys import KNOWN_ENDINGS, LoraKey, LoraPart, LoraRole, read_key
from families.lora.layer_names import layer_index
from families.lora.training import Training, read_training
from families.sources.header import Header, TensorEntry

Shape = tuple[int, ...]
Layers = Mapping[LoraPart, Mapping[str, Shape]]
"""The weights' shapes, [out, in] or [out, in, height, width], of each part's layers by their names."""

_NUMBERS = ("F32", "F16", "BF16")


@dataclass(frozen=True, slots=True)
class AdaptedLayer:
    """What a file holds for one layer: names of its tensors. The change is `factor * up @ down`.

    `alpha`: the tensor that the factor is told by, alpha over rank; without one `factor` holds.
    """

    part: LoraPart
    layer: str
    down: str
    up: str
    rank: int
    alpha: str | None
    factor: float


def survey(header: Header) -> tuple[frozenset[LoraPart], int]:
    """The parts that a file adapts, and its largest rank. Raises LoraError for a tensor that is not a LoRA's."""
    keys = _keys(header)
    ranks = (header.tensors[name].shape[:1] for name, key in keys.items() if key.role is LoraRole.DOWN)
    return frozenset(key.part for key in keys.values()), max((rank[0] for rank in ranks if rank), default=0)


def lay_out(header: Header, layers: Layers) -> tuple[AdaptedLayer, ...]:
    """The layers that a file adapts of these parts; what it holds for other parts is left aside.

    Raises LoraError naming the tensor: for adapters of another kind, for a layer that the model lacks, or of other
    shape, for one matrix without the other.
    """
    training = read_training(header)
    indices = {part: layer_index(shapes) for part, shapes in layers.items()}
    found: dict[tuple[LoraPart, str], dict[LoraRole, TensorEntry]] = {}
    for name, key in _keys(header).items():
        index = indices.get(key.part)
        if index is None:
            continue
        layer = index.get(key.layer)
        if layer is None:
            raise LoraError(
                f"{header.path}: tensor {name!r} adapts a layer that the model's {key.part} has not: "
                "it was made for another family of models"
            )
        tensors = found.setdefault((key.part, layer), {})
        if key.role in tensors:
            raise LoraError(f"{header.path}: {tensors[key.role].name!r} and {name!r} mean the same matrix")
        tensors[key.role] = header.tensors[name]
    return tuple(
        _layer(header.path, _Target(part, layer, layers[part][layer]), tensors, training)
        for (part, layer), tensors in found.items()
    )


@dataclass(frozen=True, slots=True)
class _Target:
    """A layer of the model, and its weight's shape."""

    part: LoraPart
    layer: str
    shape: Shape


def _keys(header: Header) -> dict[str, LoraKey]:
    keys: dict[str, LoraKey] = {}
    for name in header.tensors:
        key = read_key(name)
        if key is None:
            raise LoraError(
                f"{header.path}: tensor {name!r} is no LoRA's; their names end in {', '.join(KNOWN_ENDINGS)}"
            )
        keys[name] = key
    if not keys:
        raise LoraError(f"{header.path} holds no tensors")
    return keys


def _layer(path: Path, target: _Target, tensors: Mapping[LoraRole, TensorEntry], training: Training) -> AdaptedLayer:
    down, up, alpha = (tensors.get(role) for role in (LoraRole.DOWN, LoraRole.UP, LoraRole.ALPHA))
    if down is None or up is None:
        there = next(iter(tensors.values()))
        raise LoraError(f"{path}: tensor {there.name!r} stands alone: one of the layer's two matrices is missing")
    for entry in tensors.values():
        if entry.dtype not in _NUMBERS:
            raise LoraError(f"{path}: tensor {entry.name!r} is of type {entry.dtype}; known are {', '.join(_NUMBERS)}")
    rank = _checked_rank(path, target, down, up)
    if alpha is not None and math.prod(alpha.shape) != 1:
        raise LoraError(f"{path}: tensor {alpha.name!r} must be one number, not {list(alpha.shape)}")
    return AdaptedLayer(
        target.part,
        target.layer,
        down=down.name,
        up=up.name,
        rank=rank,
        alpha=None if alpha is None else alpha.name,
        factor=training.factor(target.part, target.layer, rank),
    )


def _checked_rank(path: Path, target: _Target, down: TensorEntry, up: TensorEntry) -> int:
    """Convolutions of one pixel are written as matrices too, and matrices as such convolutions."""
    rank, shape = down.shape[0] if down.shape else 0, target.shape
    fits = (
        rank > 0
        and down.shape[1:2] == shape[1:2]
        and math.prod(down.shape[1:]) == math.prod(shape[1:])
        and up.shape[:1] == shape[:1]
        and math.prod(up.shape[1:]) == rank
    )
    if not fits:
        raise LoraError(
            f"{path}: tensors {down.name!r} {list(down.shape)} and {up.name!r} {list(up.shape)} do not fit "
            f"{target.layer} of the {target.part}, which is {list(shape)}: it was made for another model"
        )
    return rank
