"""Which layers a method quantises, and how."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from torch import nn

from export.errors import BuildError
from export.quantise.fp4 import BLOCK
from export.recipe import Quantisation, QuantisationMethod


class Format(StrEnum):
    """How one layer's numbers are stored."""

    INT8 = "int8"
    INT8_WEIGHT = "int8-weight"
    FP8 = "fp8"
    FP4 = "fp4"


@dataclass(frozen=True, slots=True)
class ChosenLayer:
    """A layer by its dotted name."""

    name: str
    format: Format


def chosen_layers(module: nn.Module, settings: Quantisation) -> tuple[ChosenLayer, ...]:
    """Linear layers and 2-D convolutions that no pattern excludes.

    NVFP4 is a format of matrices: convolutions, and layers whose inputs do not come in sixteens, take FP8 instead.
    Raises BuildError where nothing is left.
    """
    chosen = tuple(_choices(module, settings))
    if not chosen:
        raise BuildError(
            f"quantisation.exclude leaves no layer to quantise: {', '.join(settings.exclude)} match every linear "
            "layer and convolution of the component"
        )
    return chosen


def _choices(module: nn.Module, settings: Quantisation) -> Iterator[ChosenLayer]:
    for name, layer in module.named_modules():
        if any(fnmatchcase(name, pattern) for pattern in settings.exclude):
            continue
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and _is_plain(layer)):
            yield ChosenLayer(name, _format(layer, settings.method))


def _format(layer: nn.Linear | nn.Conv2d, method: QuantisationMethod) -> Format:
    match method:
        case QuantisationMethod.INT8_SMOOTHQUANT:
            return Format.INT8
        case QuantisationMethod.INT8_WEIGHT_ONLY:
            return Format.INT8_WEIGHT
        case QuantisationMethod.FP8:
            return Format.FP8
        case QuantisationMethod.NVFP4:
            return Format.FP4 if isinstance(layer, nn.Linear) and layer.in_features % BLOCK == 0 else Format.FP8


def _is_plain(convolution: nn.Conv2d) -> bool:
    """Padded by numbers, with zeros."""
    return convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
