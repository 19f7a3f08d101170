"""One component as an ONNX file: dynamic batch, height and width, names and symbols from its signature."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir
import torch
from torch import nn

from export.artefacts.key import Dialect
from export.graph.optimiser import linear_rewrites
from export.graph.tidy import tidy
from export.lowering import attention_calls, lower
from export.lowering.precision import in_precision
from export.quiet import quiet
from export.recipe import Precision
from families.tensors import ComponentSignature, DType, TensorSpec

OPSET = 20
"""Newest opset that ONNX Runtime 1.17 and newer and TensorRT 10 all read; Gelu became one node in it."""
BF16_OPSET = 22
"""The first opset whose convolutions take bf16."""

EXTERNAL_DATA_BYTES = 128_000_000
"""Bigger weights go into `model.onnx.data` beside the graph, one tensor after another. Protobuf files end at 2 GiB, and
long before that they cost: the weights would lie in memory twice more while they are written."""

# Example sizes for tracing: all different and none 0 or 1, so that no axis is mistaken for another or for a constant.
_EXAMPLE_BATCH = 3
_EXAMPLE_SIDES = (12, 20, 28)
_EXAMPLE_CELL = 8
"""Pixels for each of these where an axis counts pixels: a VAE's smallest feature maps must not be of 0 or 1 either."""


@dataclass(frozen=True, slots=True)
class GraphMetadata:
    """What an ONNX file says of its origin, and the dialect that it is written in."""

    model: str
    component: str
    source_hash: str
    exporter: str
    dialect: Dialect = Dialect.ONNXRUNTIME


def write_onnx(
    module: nn.Module,
    signature: ComponentSignature,
    metadata: GraphMetadata,
    path: Path,
    *,
    precision: Precision = Precision.FP32,
    opset: int = OPSET,
) -> None:
    """Compile `module` (positional inputs and outputs as in `signature`) to `path`, to compute in `precision`.

    The module is rewritten in place for the compiler and is of no use afterwards. Raises whatever torch's exporter
    raises; the caller stages and renames.
    """
    lower(module, metadata.dialect)
    module = in_precision(module, signature, precision)
    axes = tuple(_dynamic_axes(spec) for spec in signature.inputs)
    size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    with quiet(), linear_rewrites(), torch.no_grad(), attention_calls(metadata.dialect):
        program = torch.onnx.export(
            module,
            tuple(_example(spec) for spec in signature.inputs),
            dynamo=True,
            opset_version=max(opset, BF16_OPSET) if precision is Precision.BF16 else opset,
            input_names=[spec.name for spec in signature.inputs],
            output_names=[spec.name for spec in signature.outputs],
            # A wrapped module takes its inputs as one tuple.
            dynamic_shapes=axes if precision is Precision.FP32 else (axes,),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    tidy(program.model)
    program.model.producer_name = "triptych"
    program.model.metadata_props.update(
        {
            "triptych.model": metadata.model,
            "triptych.component": metadata.component,
            "triptych.source_hash": metadata.source_hash,
            "triptych.exporter": metadata.exporter,
            "triptych.dialect": metadata.dialect.value,
        }
    )
    onnx_ir.save(program.model, path, external_data=f"{path.name}.data" if size > EXTERNAL_DATA_BYTES else None)


def _dynamic_axes(spec: TensorSpec) -> dict[int, str]:
    """Axes that stay symbolic, by the symbols of the signature."""
    symbols = {axis: dim for axis, dim in enumerate(spec.dims, start=1) if isinstance(dim, str)}
    return {0: "batch", **symbols}


def _example(spec: TensorSpec) -> torch.Tensor:
    """A tensor to trace with; its values do not matter."""
    cell = _EXAMPLE_CELL if {"height", "width"} & set(spec.dims) else 1
    sides = iter(_EXAMPLE_SIDES)
    shape = [_EXAMPLE_BATCH, *(next(sides) * cell if isinstance(dim, str) else dim for dim in spec.dims)]
    if spec.dtype is DType.FP32:
        return torch.randn(shape)
    return torch.from_numpy(np.zeros(shape, spec.dtype.numpy))
