"""One component as an ONNX file: dynamic batch, height and width, names and symbols from its signature."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from export.lowering import lower
from export.quiet import quiet
from families.tensors import ComponentSignature, DType, TensorSpec

OPSET = 20
"""Newest opset that ONNX Runtime 1.17 and newer and TensorRT 10 all read; Gelu became one node in it."""

EXTERNAL_DATA_BYTES = 1_500_000_000
"""Protobuf files end at 2 GiB; bigger weights go into `model.onnx.data` beside the graph."""

# Example sizes for tracing: all different and none 0 or 1, so that no axis is mistaken for another or for a constant.
_EXAMPLE_BATCH = 3
_EXAMPLE_SIDES = (12, 20, 28)


@dataclass(frozen=True, slots=True)
class GraphMetadata:
    """What an ONNX file says of its origin."""

    model: str
    component: str
    source_hash: str
    exporter: str


def write_onnx(module: nn.Module, signature: ComponentSignature, metadata: GraphMetadata, path: Path) -> None:
    """Compile `module` (positional inputs and outputs as in `signature`) to `path`.

    The module is rewritten in place for the compiler and is of no use afterwards. Raises whatever torch's exporter
    raises; the caller stages and renames.
    """
    lower(module)
    size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            tuple(_example(spec) for spec in signature.inputs),
            dynamo=True,
            opset_version=OPSET,
            input_names=[spec.name for spec in signature.inputs],
            output_names=[spec.name for spec in signature.outputs],
            dynamic_shapes=tuple(_dynamic_axes(spec) for spec in signature.inputs),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    program.model.producer_name = "triptych"
    program.model.metadata_props.update(
        {
            "triptych.model": metadata.model,
            "triptych.component": metadata.component,
            "triptych.source_hash": metadata.source_hash,
            "triptych.exporter": metadata.exporter,
        }
    )
    program.save(str(path), external_data=size > EXTERNAL_DATA_BYTES)


def _dynamic_axes(spec: TensorSpec) -> dict[int, str]:
    """Axes that stay symbolic, by the symbols of the signature."""
    symbols = {axis: dim for axis, dim in enumerate(spec.dims, start=1) if isinstance(dim, str)}
    return {0: "batch", **symbols}


def _example(spec: TensorSpec) -> torch.Tensor:
    """A tensor to trace with; its values do not matter."""
    sides = iter(_EXAMPLE_SIDES)
    shape = [_EXAMPLE_BATCH, *(next(sides) if isinstance(dim, str) else dim for dim in spec.dims)]
    if spec.dtype is DType.FP32:
        return torch.randn(shape)
    return torch.from_numpy(np.zeros(shape, spec.dtype.numpy))
