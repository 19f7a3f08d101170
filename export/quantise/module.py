"""A component's torch module, quantised."""

import logging
from collections.abc import Sequence

import torch
from torch import nn

from export.errors import BuildError
from export.quantise.activations import ScaledActivation
from export.quantise.choice import ChosenLayer, Format, chosen_layers
from export.quantise.fp4 import Fp4Activation, Fp4Weight
from export.quantise.identity import needs_calibration
from export.quantise.layers import ConvolutionShape, QuantisedConv2d, QuantisedLinear
from export.quantise.measure import Ranges, measure
from export.quantise.weights import ScaledWeight, StoredWeight
from export.recipe import Quantisation

_log = logging.getLogger(__name__)


def quantise_module(
    module: nn.Module, calibration: Sequence[tuple[torch.Tensor, ...]], settings: Quantisation
) -> nn.Module:
    """Replace the layers of `module`, in place, by quantised ones; what is excluded stays as it is.

    `calibration` holds positional inputs of the module, one call each; weight-only methods take none. The result runs
    in eager torch with the numbers of the engine to come. Raises BuildError where no layer is left to quantise, where
    calibration is missing or gives NaN, or where a layer never ran.
    """
    layers = chosen_layers(module, settings)
    if needs_calibration(settings.method) and not calibration:
        raise BuildError(f"{settings.method} rounds activations: it needs calibration inputs, and there are none")
    inputs = calibration if needs_calibration(settings.method) else ()
    ranges = measure(module, layers, inputs, settings)
    reached = [layer for layer in layers if not inputs or ranges[layer.name].input_amax is not None]
    if not reached:
        raise BuildError("no layer that may be quantised ran on the calibration inputs")
    for layer in reached:
        owner, _, name = layer.name.rpartition(".")
        original = module.get_submodule(layer.name)
        setattr(module.get_submodule(owner), name, _quantised(layer, original, ranges.pop(layer.name)))
    _log.info("%s: %d of %d layers quantised", settings.method, len(reached), len(layers))
    return module


def _quantised(layer: ChosenLayer, original: nn.Module, ranges: Ranges) -> nn.Module:
    """The layer's replacement."""
    assert isinstance(original, nn.Linear | nn.Conv2d)
    bias = None if original.bias is None else original.bias.detach()
    weight, activation = _weight(layer, ranges), _activation(layer, ranges)
    if isinstance(original, nn.Linear):
        return QuantisedLinear(weight, bias, activation, ranges.smoothing).eval()
    output = None if ranges.output_amax is None else ScaledActivation.int8(ranges.output_amax)
    return QuantisedConv2d(weight, bias, ConvolutionShape.of(original), activation, output).eval()


def _weight(layer: ChosenLayer, ranges: Ranges) -> StoredWeight:
    match layer.format:
        case Format.INT8 | Format.INT8_WEIGHT:
            return ScaledWeight.int8(ranges.weight, ranges.weight_amax)
        case Format.FP8:
            return ScaledWeight.fp8(ranges.weight, ranges.weight_amax)
        case Format.FP4:
            return Fp4Weight.of(ranges.weight, ranges.weight_amax)


def _activation(layer: ChosenLayer, ranges: Ranges) -> nn.Module | None:
    if layer.format is Format.INT8_WEIGHT:
        return None
    assert ranges.input_amax is not None
    match layer.format:
        case Format.FP8:
            return ScaledActivation.fp8(ranges.input_amax)
        case Format.FP4:
            return Fp4Activation(ranges.input_amax)
        case _:
            return ScaledActivation.int8(ranges.input_amax)
