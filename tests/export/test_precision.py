"""Graphs in half precision: half the bytes, the signature's types at the border, norms in float32, close to torch."""

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import nn

from engine.modules import load_source_module
from export.graph.onnx_graph import BF16_OPSET, EXTERNAL_DATA_BYTES, GraphMetadata, write_onnx
from export.lowering.precision import in_precision
from export.recipe import Precision
from export.verification.samples import ReferenceSamples
from export.verification.tolerances import tolerance_for
from export.verification.verify import verify_onnx
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import ONNX_FILE
from families.tensors import ComponentSignature, DType, TensorSpec

METADATA = GraphMetadata("tiny", "component", "hash", "exporter")
TYPES = {Precision.FP16: TensorProto.FLOAT16, Precision.BF16: TensorProto.BFLOAT16}
DTYPES = {Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}


@pytest.mark.parametrize(
    ("component", "precision"),
    [
        (Component.TEXT_ENCODER, Precision.FP16),
        (Component.DENOISER, Precision.FP16),
        (Component.VAE_ENCODER, Precision.FP16),
        (Component.VAE_DECODER, Precision.FP16),
        (Component.DENOISER, Precision.BF16),
    ],
)
def test_half_precision_is_small_and_close(
    component: Component, precision: Precision, source: ModelSource, samples: ReferenceSamples, tmp_path: Path
) -> None:
    path, signature = tmp_path / ONNX_FILE, source.manifest.signature(component)
    module = samples.module(component, DTYPES[precision])
    write_onnx(module, signature, METADATA, path, precision=precision)
    model = onnx.load(str(path))
    assert next(entry.version for entry in model.opset_import if not entry.domain) >= (
        BF16_OPSET if precision is Precision.BF16 else 20
    )
    types = {
        DType.FP32: TensorProto.FLOAT, DType.INT64: TensorProto.INT64, DType.UINT8: TensorProto.UINT8
    }  # fmt: skip
    for values, specs in ((model.graph.input, signature.inputs), (model.graph.output, signature.outputs)):
        assert [entry.type.tensor_type.elem_type for entry in values] == [types[spec.dtype] for spec in specs]
    by_type: dict[int, int] = {}
    for item in model.graph.initializer:
        by_type[item.data_type] = by_type.get(item.data_type, 0) + int(np.prod(item.dims))
    assert by_type[TYPES[precision]] > 5 * by_type.get(TensorProto.FLOAT, 0)
    norms = [node for node in model.graph.node if node.op_type in {"InstanceNormalization", "LayerNormalization"}]
    wide = {item.name for item in model.graph.initializer if item.data_type == TensorProto.FLOAT}
    assert norms and all(node.input[1] in wide for node in norms)
    report = verify_onnx(source, component, path, samples, tolerance_for(component, precision))
    assert report.passed, report.failures
    exact = tolerance_for(component).norm
    worst = max((check.norm or 0.0 for check in report.checks), default=0.0)
    assert precision is not Precision.BF16 or worst > 10 * (exact or 0.0), "this graph does not compute in bf16"


def test_timesteps_are_not_rounded() -> None:
    class Echo(nn.Module):
        def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            assert sample.dtype is torch.float16
            return timestep.expand(len(sample))

    specs = (TensorSpec("sample", DType.FP32, (4,)), TensorSpec("timestep", DType.FP32, ()))
    half = in_precision(Echo(), ComponentSignature(specs, (specs[1],)), Precision.FP16)
    odd = torch.tensor([2049.0])  # not a number of float16
    assert half(torch.ones(1, 4), odd).item() == odd.item()


def test_full_precision_is_the_module_itself(source: ModelSource) -> None:
    module = load_source_module(source, Component.TEXT_ENCODER)
    before = copy.deepcopy(module.state_dict())
    assert in_precision(module, source.manifest.text_encoder, Precision.FP32) is module
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_big_weights_lie_beside_the_graph_and_verify_alike(
    source: ModelSource, samples: ReferenceSamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert EXTERNAL_DATA_BYTES < 2**31
    monkeypatch.setattr("export.graph.onnx_graph.EXTERNAL_DATA_BYTES", 1000)
    path = tmp_path / ONNX_FILE
    write_onnx(samples.module(Component.TEXT_ENCODER), source.manifest.text_encoder, METADATA, path)
    data = path.with_name(f"{ONNX_FILE}.data")
    assert data.stat().st_size > 20 * path.stat().st_size / 100
    model = onnx.load(str(path), load_external_data=False)
    assert any(item.data_location == TensorProto.EXTERNAL for item in model.graph.initializer)
    assert verify_onnx(source, Component.TEXT_ENCODER, path, samples).passed


def test_graphs_are_clean(artefacts: dict[Component, object], source: ModelSource) -> None:
    for artefact in artefacts.values():
        model = onnx.load(str(artefact.folder / ONNX_FILE))  # type: ignore[attr-defined]
        used = {name for node in model.graph.node for name in node.input}
        made = {name for node in model.graph.node for name in node.output}
        outputs = {entry.name for entry in model.graph.output}
        assert not [item.name for item in model.graph.initializer if item.name not in used | outputs]
        assert not [node.name for node in model.graph.node if not set(node.output) & (used | outputs)]
        assert not [node.name for node in model.graph.node if node.metadata_props or node.doc_string]
        assert not {"Identity", "Dropout"} & {node.op_type for node in model.graph.node}
        assert made
        content = (artefact.folder / ONNX_FILE).read_bytes()  # type: ignore[attr-defined]
        assert str(Path(__file__).parents[2]).encode() not in content, "folders of this machine"
