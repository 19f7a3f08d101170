"""Quantised components: real prompts in, Q/DQ ONNX out. Importing this loads no tensor library."""

import importlib
from typing import TYPE_CHECKING, Any

from export.quantise.identity import CALIBRATION_SEED, calibration_identity

if TYPE_CHECKING:
    from export.quantise.calibration import calibration_inputs
    from export.quantise.module import quantise_module
    from export.quantise.onnx_export import export_quantised_onnx

__all__ = [
    "CALIBRATION_SEED",
    "calibration_identity",
    "calibration_inputs",
    "export_quantised_onnx",
    "quantise_module",
]

_HEAVY = {
    "calibration_inputs": "export.quantise.calibration",
    "export_quantised_onnx": "export.quantise.onnx_export",
    "quantise_module": "export.quantise.module",
}


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(importlib.import_module(_HEAVY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
