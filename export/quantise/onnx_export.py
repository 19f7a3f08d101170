"""A quantised module as an ONNX file: Q/DQ nodes around its products, small weights inside."""

from pathlib import Path

from torch import nn

from export.artefacts.key import Dialect
from export.errors import BuildError
from export.graph.onnx_graph import OPSET, GraphMetadata, write_onnx
from export.quantise.activations import ScaledActivation
from export.quantise.fp4 import Fp4Activation, Fp4Weight
from export.quantise.layers import QuantisedConv2d, QuantisedLayer, QuantisedLinear
from export.recipe import Precision
from families.tensors import ComponentSignature

FP4_OPSET = 23
"""The first opset with 4-bit floats."""


def export_quantised_onnx(
    module: nn.Module,
    signature: ComponentSignature,
    metadata: GraphMetadata,
    path: Path,
    *,
    precision: Precision = Precision.FP32,
) -> None:
    """Write what `quantise_module` gave to `path`, for the dialect that `metadata` names.

    What lies between quantised layers computes in `precision`. The module is of no use afterwards. Raises BuildError
    for a format which the dialect's runtime cannot run.
    """
    layers = [part for part in module.modules() if isinstance(part, QuantisedLayer)]
    if metadata.dialect is Dialect.ONNXRUNTIME:
        _refuse_what_onnxruntime_lacks(layers, precision)
    for layer in layers:
        _shape_for(layer, metadata.dialect)
    has_fp4 = any(isinstance(layer.weight, Fp4Weight) for layer in layers)
    opset = FP4_OPSET if has_fp4 else OPSET
    write_onnx(module, signature, metadata, path, precision=precision, opset=opset)


def _shape_for(layer: QuantisedLayer, dialect: Dialect) -> None:
    """ONNX Runtime multiplies integers where the bias is int32, linear layers see rows and convolutions round their
    results, and fast where activations are unsigned; TensorRT wants none of it: it has neither unsigned activations nor
    an int32 bias, and a rounded result only costs accuracy.
    """
    if dialect is Dialect.ONNXRUNTIME:
        layer.store_bias()
        layer.activation, layer.output = _unsigned(layer.activation), _unsigned(layer.output)
        if isinstance(layer, QuantisedLinear):
            layer.as_rows = True
    elif isinstance(layer, QuantisedConv2d):
        layer.output = None


def _unsigned(rounding: nn.Module | None) -> nn.Module | None:
    return rounding.unsigned() if isinstance(rounding, ScaledActivation) and rounding.is_integer else rounding


def _refuse_what_onnxruntime_lacks(layers: list[QuantisedLayer], precision: Precision) -> None:
    if any(isinstance(layer.activation, Fp4Activation) for layer in layers):
        raise BuildError(
            "nvfp4 rounds activations with an operator of TensorRT's that ONNX Runtime lacks: "
            "choose the target tensorrt or tensorrt-rtx"
        )
    if any(_is_taken_for_integers(layer) for layer in layers):
        raise BuildError(
            "ONNX Runtime's CPU provider makes integer operators of fp8's layers without a bias and then refuses their "
            "types: choose the target tensorrt or tensorrt-rtx"
        )
    if precision is not Precision.FP32 and any(isinstance(layer.activation, ScaledActivation) for layer in layers):
        raise BuildError(
            f"ONNX Runtime's quantised kernels work between float32 tensors: precision {precision} with quantised "
            "activations needs the target tensorrt or tensorrt-rtx"
        )


def _is_taken_for_integers(layer: QuantisedLayer) -> bool:
    """A Gemm with a bias in float is left alone; zeros for a bias are optimised away."""
    return (
        isinstance(layer, QuantisedLinear)
        and isinstance(layer.activation, ScaledActivation)
        and not layer.is_integer
        and layer.bias is None
    )
