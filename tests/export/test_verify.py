"""Verification passes what is right and refuses what is wrong, whatever the wrong is."""

import shutil
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.artefacts.artefact import Artefact
from export.graph.finite import broken_weights
from export.verification.report import Comparison, dump_report, parse_report
from export.verification.samples import ReferenceSamples
from export.verification.tolerances import tolerance_for
from export.verification.verify import verify_onnx
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import ONNX_FILE
from families.tensors import Array

Tamper = Callable[[Array], Array]


def _tampered(artefact: Artefact, folder: Path, tamper: Tamper) -> Path:
    """A copy of the graph whose largest weight went through `tamper`."""
    path = Path(shutil.copy(artefact.folder / ONNX_FILE, folder))
    model = onnx.load(str(path))
    weights = [item for item in model.graph.initializer if item.data_type == onnx.TensorProto.FLOAT]
    largest = max(weights, key=lambda item: int(np.prod(item.dims)))
    largest.CopyFrom(numpy_helper.from_array(tamper(numpy_helper.to_array(largest).copy()), largest.name))
    onnx.save(model, str(path))
    return path


def _with_nan(array: Array) -> Array:
    array.flat[3] = np.nan
    return array


@pytest.mark.parametrize("component", list(Component))
def test_a_faithful_graph_passes(
    component: Component, source: ModelSource, artefacts: dict[Component, Artefact], samples: ReferenceSamples
) -> None:
    report = verify_onnx(source, component, artefacts[component].folder / ONNX_FILE, samples)
    assert report.passed, report.failures
    assert {check.comparison for check in report.checks} == set(Comparison) - {Comparison.SIGNATURE}
    allowed = tolerance_for(component).absolute
    assert allowed is not None
    assert report.worst(Comparison.TORCH) <= allowed
    assert parse_report(dump_report(report)) == report


@pytest.mark.parametrize("component", list(Component))
@pytest.mark.parametrize(("tamper", "problem"), [(lambda array: array * 1.05, "differ"), (_with_nan, "NaN")])
def test_tampered_weights_fail(
    component: Component,
    tamper: Tamper,
    problem: str,
    source: ModelSource,
    artefacts: dict[Component, Artefact],
    samples: ReferenceSamples,
    tmp_path: Path,
) -> None:
    report = verify_onnx(source, component, _tampered(artefacts[component], tmp_path, tamper), samples)
    assert not report.passed
    assert any(problem in check.problem for check in report.failures)


def test_a_broken_file_fails(
    source: ModelSource, artefacts: dict[Component, Artefact], samples: ReferenceSamples, tmp_path: Path
) -> None:
    other = artefacts[Component.VAE_DECODER].folder / ONNX_FILE
    model = onnx.load(str(other))
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, str(tmp_path / ONNX_FILE))
    report = verify_onnx(source, Component.VAE_DECODER, tmp_path / ONNX_FILE, samples)
    assert not report.passed


@pytest.mark.parametrize("beside", [False, True])
def test_weights_of_every_float_are_looked_at_wherever_they_lie(beside: bool, tmp_path: Path) -> None:
    values = {"good": [1.0, -np.inf], "nan": [np.nan, 0.0], "inf": [0.0, np.inf]}
    types = {"FLOAT": np.float32, "FLOAT16": np.float16, "BFLOAT16": ml_dtypes.bfloat16}
    items = [
        numpy_helper.from_array(np.array(numbers).astype(dtype), f"{name} {kind}")
        for name, numbers in values.items()
        for kind, dtype in types.items()
    ]
    whole = onnx.helper.make_tensor("whole", onnx.TensorProto.INT64, [2], [1, 2])
    graph = onnx.helper.make_graph([], "graph", [], [], [*items, whole])
    path = tmp_path / ONNX_FILE
    onnx.save(onnx.helper.make_model(graph), str(path), save_as_external_data=beside, size_threshold=0)
    assert (len(list(tmp_path.iterdir())) > 1) is beside
    broken = broken_weights(onnx.load(str(path), load_external_data=False), tmp_path)
    assert set(broken) == {f"{name} {kind}" for name in ("nan", "inf") for kind in types}


def test_samples_are_in_the_middle_of_trajectories(source: ModelSource, samples: ReferenceSamples) -> None:
    denoising = samples.of(Component.DENOISER)
    sizes = {sample.inputs[0].array.shape[2:] for sample in denoising}
    assert source.manifest.size.default_height // source.manifest.size.multiple in {height for height, _ in sizes}
    assert any(height != width for height, width in sizes)
    assert any(height % 2 and width % 2 for height, width in sizes)
    batch = max(denoising, key=lambda sample: len(sample.inputs[0].array))
    timesteps = batch.inputs[1].array
    assert len(set(timesteps.tolist())) > 1, "the step engine mixes timesteps in one batch"
