"""Looks for NaN and Inf in the weights of a graph, one tensor in memory at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import external_data_helper, numpy_helper


def broken_weights(model: onnx.ModelProto, folder: Path) -> list[str]:
    """Names of weights that hold NaN or Inf. What lies outside of `model` is read from `folder` and not kept."""
    return [item.name for item in model.graph.initializer if _is_broken(item, folder)]


def _is_broken(initializer: Any, folder: Path) -> bool:
    """Minus infinity is allowed: attention masks are made of it."""
    item = initializer
    if external_data_helper.uses_external_data(initializer):
        item = onnx.TensorProto()
        item.CopyFrom(initializer)
        external_data_helper.load_external_data_for_tensor(item, str(folder))
    array = numpy_helper.to_array(item)
    if array.dtype.kind in "biuSO":
        return False
    if array.dtype.kind == "V":  # bf16 and the small floats, which numpy does not know
        array = array.astype(np.float32)
    return bool(np.isnan(array).any() or np.isposinf(array).any())
