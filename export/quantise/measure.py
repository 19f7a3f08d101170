"""Ranges of weights and activations, measured by NVIDIA's Model Optimizer; smoothing of outliers into the weights."""

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from export.errors import BuildError
from export.quantise.choice import ChosenLayer, Format
from export.quiet import quiet
from export.recipe import Quantisation, QuantisationMethod
from export.verification.threads import threads_for, torch_threads

# Attributes of Model Optimizer's quantisers by format.
_FP8 = {"num_bits": (4, 3), "axis": None}
_FP4 = {"num_bits": (2, 1), "block_sizes": {-1: 16, "type": "dynamic", "scale_bits": (4, 3)}}
_INT8_ROWS, _INT8 = {"num_bits": 8, "axis": 0}, {"num_bits": 8, "axis": None}
_WEIGHTS: dict[Format, dict[str, Any]] = {
    Format.INT8: _INT8_ROWS,
    Format.INT8_WEIGHT: _INT8_ROWS,
    Format.FP8: _FP8,
    Format.FP4: _FP4,
}
_ACTIVATIONS: dict[Format, dict[str, Any]] = {Format.INT8: _INT8, Format.FP8: _FP8, Format.FP4: _FP4}


@dataclass(frozen=True, slots=True)
class Ranges:
    """What calibration found of one layer.

    `weight` [out, ...] is smoothed where `smoothing` [in] is not None; `weight_amax` has one value, or one an output.
    `input_amax`, `output_amax` are the largest magnitudes seen, None where they are not rounded.
    """

    weight: torch.Tensor
    weight_amax: torch.Tensor
    input_amax: torch.Tensor | None
    output_amax: torch.Tensor | None
    smoothing: torch.Tensor | None


def measure(
    module: nn.Module,
    layers: Sequence[ChosenLayer],
    calibration: Sequence[tuple[torch.Tensor, ...]],
    settings: Quantisation,
) -> dict[str, Ranges]:
    """Ranges of `layers` by name, over all of `calibration`. The module is plain torch again afterwards.

    Raises BuildError where Model Optimizer is not installed or a calibration input gives NaN or Inf.
    """
    try:
        with _hushed():
            import modelopt.torch.quantization as mtq  # noqa: PLC0415 - takes seconds
    except ImportError as error:
        raise BuildError(
            f"quantising needs NVIDIA's Model Optimizer: pip install 'triptych[quantise]' ({error})"
        ) from error

    for layer in layers:
        if not bool(torch.isfinite(module.get_submodule(layer.name).get_parameter("weight")).all()):
            raise BuildError(f"{layer.name} has NaN or Inf among its weights")

    def run(model: nn.Module) -> None:
        for inputs in calibration:
            output = model(*inputs)
            for tensor in output if isinstance(output, tuple) else (output,):
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    raise BuildError("calibration gives NaN or Inf: the full-precision component itself overflows")

    config = {"quant_cfg": list(_entries(module, layers)), "algorithm": _algorithm(settings)}
    with _hushed(), torch.no_grad(), torch_threads(threads_for(module)):
        try:
            mtq.quantize(module, config, run if calibration else None)
        except AssertionError as error:  # how its calibrators refuse NaN and Inf
            raise BuildError(f"calibration fails: {error}") from error
        ranges = {layer.name: _ranges(module.get_submodule(layer.name)) for layer in layers}
        _restore(module)
    return ranges


def _algorithm(settings: Quantisation) -> dict[str, Any]:
    if settings.method is QuantisationMethod.INT8_SMOOTHQUANT:
        return {"method": "smoothquant", "alpha": settings.alpha}
    return {"method": "max"}


def _entries(module: nn.Module, layers: Sequence[ChosenLayer]) -> Iterator[dict[str, Any]]:
    """Everything off, then the quantisers of each chosen layer on."""
    yield {"quantizer_name": "*", "enable": False}
    for layer in layers:
        yield {"quantizer_name": f"{layer.name}.weight_quantizer", "cfg": _WEIGHTS[layer.format]}
        if layer.format in _ACTIVATIONS:
            yield {"quantizer_name": f"{layer.name}.input_quantizer", "cfg": _ACTIVATIONS[layer.format]}
        if layer.format is Format.INT8 and isinstance(module.get_submodule(layer.name), nn.Conv2d):
            yield {"quantizer_name": f"{layer.name}.output_quantizer", "cfg": _INT8}


def _ranges(layer: Any) -> Ranges:
    """Read off a calibrated layer."""
    smoothing = layer.input_quantizer.pre_quant_scale
    return Ranges(
        weight=layer.weight.detach().clone(),
        weight_amax=layer.weight_quantizer.amax.detach().clone(),
        input_amax=_amax(layer.input_quantizer),
        output_amax=_amax(layer.output_quantizer),
        smoothing=None if smoothing is None else smoothing.detach().flatten().clone(),
    )


def _amax(quantizer: Any) -> torch.Tensor | None:
    if not quantizer.is_enabled or quantizer.amax is None:
        return None
    amax: torch.Tensor = quantizer.amax.detach().max().clone()
    return amax


def _restore(module: nn.Module) -> None:
    """Take Model Optimizer's classes and quantisers out again; our own layers take the place of the chosen ones."""
    from modelopt.torch.opt.dynamic import DynamicModule  # noqa: PLC0415
    from modelopt.torch.quantization.nn import TensorQuantizer  # noqa: PLC0415

    for part in list(module.modules()):
        if isinstance(part, DynamicModule):
            part.export()
    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, TensorQuantizer):
                delattr(part, name)


@contextmanager
def _hushed() -> Iterator[None]:
    """Advice and counts that Model Optimizer prints stay off our users' terminals."""
    logger = logging.getLogger("modelopt")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with quiet(), redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
