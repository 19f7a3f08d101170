"""A bf16 graph as one in float32 with the same weights: what runs where no kernel knows bf16."""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

_BFLOAT16, _FLOAT = onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT


def is_bfloat16(model: onnx.ModelProto) -> bool:
    """Whether any weight is stored in bf16."""
    return any(item.data_type == _BFLOAT16 for item in model.graph.initializer)


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, changed in place: bf16 becomes float32 everywhere. Weights keep their rounded values, sums do not."""
    graph = model.graph
    for tensor in _tensors(graph):
        if tensor.data_type == _BFLOAT16:
            wide = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == _BFLOAT16:
                attribute.i = _FLOAT
    for value in (*graph.value_info, *graph.input, *graph.output):
        if value.type.tensor_type.elem_type == _BFLOAT16:
            value.type.tensor_type.elem_type = _FLOAT
    return model


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Weights and constants."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t
