"""Quantised components of the tiny model, for the tests of quantisation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from torch import nn

from engine.modules import load_source_module
from export.artefacts.key import Dialect
from export.graph.onnx_graph import GraphMetadata
from export.quantise import CALIBRATION_SEED, calibration_inputs, export_quantised_onnx, quantise_module
from export.recipe import Quantisation, QuantisationMethod
from families.catalog import ModelSource
from families.manifest import Component
from families.tensors import Array

PROMPTS, STEPS = 4, 5


def settings_of(method: QuantisationMethod) -> Quantisation:
    return Quantisation(method=method, calibration_prompts=PROMPTS, calibration_steps=STEPS)


def inputs_of(source: ModelSource, component: Component, method: QuantisationMethod) -> list[tuple[torch.Tensor, ...]]:
    return calibration_inputs(source, component, settings_of(method), CALIBRATION_SEED)


def load(source: ModelSource, component: Component) -> nn.Module:
    return load_source_module(source, component)


def quantise(source: ModelSource, component: Component, method: QuantisationMethod) -> nn.Module:
    return quantise_module(load(source, component), inputs_of(source, component, method), settings_of(method))


def write(module: nn.Module, source: ModelSource, component: Component, path: Path, dialect: Dialect) -> Path:
    metadata = GraphMetadata("tiny", component.value, "hash", "exporter", dialect)
    export_quantised_onnx(module, source.manifest.signature(component), metadata, path)
    return path


def open_session(path: Path, optimised: Path | None = None) -> ort.InferenceSession:
    """On one thread: threads of a busy machine wait for each other. `optimised` receives the fused graph."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_onnx(path: Path, inputs: Sequence[torch.Tensor]) -> Array:
    session = open_session(path)
    names = [entry.name for entry in session.get_inputs()]
    output: Array = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})[0]
    return output


def run_torch(module: nn.Module, inputs: Sequence[torch.Tensor]) -> Array:
    with torch.inference_mode():
        output: Array = module(*inputs).numpy()
    return output


def signal_to_noise(got: Array, wanted: Array) -> float:
    """In decibels."""
    error = np.square(got.astype(np.float64) - wanted).sum()
    return float(10 * np.log10(np.square(wanted.astype(np.float64)).sum() / error)) if error else float("inf")
