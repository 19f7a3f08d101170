"""Q/DQ graphs: they run where they can, are read where they are meant for, and are as small as promised."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import nn

from export.artefacts.key import Dialect
from export.errors import BuildError
from export.graph.onnx_graph import GraphMetadata
from export.quantise import export_quantised_onnx, quantise_module
from export.quantise.layers import QuantisedLayer
from export.recipe import EngineFlags, Precision, Quantisation, QuantisationMethod, Range, ShapeProfile, Target
from export.tensorrt.builder import EngineRequest, build_engine
from export.tensorrt.profiles import EngineProfile, InputShapes, engine_profiles
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import PLAN_FILE
from families.tensors import ComponentSignature, DType, TensorSpec
from tests.export.quantised import inputs_of, open_session, quantise, run_onnx, run_torch, signal_to_noise, write

INT8 = QuantisationMethod.INT8_SMOOTHQUANT
WEIGHT_ONLY = QuantisationMethod.INT8_WEIGHT_ONLY


def _stored(path: Path) -> Counter[int]:
    """Bytes of weights by ONNX type."""
    total: Counter[int] = Counter()
    for tensor in onnx.load(str(path)).graph.initializer:
        total[tensor.data_type] += len(tensor.raw_data)
    return total


def _operators_after_fusion(path: Path, folder: Path) -> Counter[str]:
    open_session(path, folder / "fused.onnx")
    return Counter(node.op_type for node in onnx.load(str(folder / "fused.onnx")).graph.node)


def test_int8_denoiser_runs_in_onnxruntime(source: ModelSource, tmp_path: Path) -> None:
    module = quantise(source, Component.DENOISER, INT8)
    inputs = inputs_of(source, Component.DENOISER, INT8)[2]
    sizes = [inputs, (torch.randn(3, 4, 11, 14), torch.tensor([1.0, 500, 900]), inputs[2][:3])]
    expected = [run_torch(module, size) for size in sizes]
    layers = [layer for layer in module.modules() if isinstance(layer, QuantisedLayer)]
    count = sum(layer.weight.get_buffer("stored").numel() for layer in layers)
    path = write(module, source, Component.DENOISER, tmp_path / "model.onnx", Dialect.ONNXRUNTIME)
    for size, wanted in zip(sizes, expected, strict=True):
        assert signal_to_noise(run_onnx(path, size), wanted) > 22
    assert count <= _stored(path)[TensorProto.INT8] < 1.1 * count, "one byte a weight, beside some zero points"
    operators = _operators_after_fusion(path, tmp_path)
    assert operators["QGemm"] > 10
    assert operators["QLinearConv"] > 5
    assert operators["Gemm"] == 2 + 4, "only the excluded time_embedding and proj_out multiply floats"
    assert operators["Conv"] <= 2, "only conv_in and conv_out"


def test_text_encoder_runs_in_onnxruntime(source: ModelSource, tmp_path: Path) -> None:
    module = quantise(source, Component.TEXT_ENCODER, INT8)
    inputs = inputs_of(source, Component.TEXT_ENCODER, INT8)[0]
    expected = run_torch(module, inputs)
    path = write(module, source, Component.TEXT_ENCODER, tmp_path / "model.onnx", Dialect.ONNXRUNTIME)
    assert signal_to_noise(run_onnx(path, inputs), expected) > 35
    assert _operators_after_fusion(path, tmp_path)["QGemm"] > 5


def test_portable_denoiser_becomes_an_engine(source: ModelSource, tmp_path: Path) -> None:
    """NVFP4 has both small floats: its matrices are FP4, its convolutions FP8."""
    module = quantise(source, Component.DENOISER, QuantisationMethod.NVFP4)
    path = write(module, source, Component.DENOISER, tmp_path / "model.onnx", Dialect.PORTABLE)
    onnx.checker.check_model(str(path), full_check=True)
    stored = _stored(path)
    small = {TensorProto.FLOAT4E2M1, TensorProto.FLOAT8E4M3FN}
    assert small < set(stored) <= small | {TensorProto.FLOAT, TensorProto.INT64}
    assert sum(stored[kind] for kind in small) > stored[TensorProto.FLOAT], "most weights are small"
    operators = {node.op_type for node in onnx.load(str(path)).graph.node}
    assert "Attention" not in operators, (
        "TensorRT-RTX has kernels for some shapes of it, and takes the others not apart"
    )
    profile = ShapeProfile(batch=Range(min=1, opt=2, max=4))
    _build(path, "12.0", engine_profiles(source.manifest, Component.DENOISER, (profile,)))


def test_an_fp8_layer_becomes_an_engine(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export_quantised_onnx(_matrix(QuantisationMethod.FP8), SIGNATURE, _metadata(Dialect.PORTABLE), path)
    _build(path, "8.9", (EngineProfile((InputShapes("x", (1, 32), (2, 32), (4, 32)),), ()),))


def _build(path: Path, compute_capability: str, profiles: tuple[EngineProfile, ...]) -> None:
    """For a GPU that need not be here."""
    pytest.importorskip("tensorrt_rtx_bindings")
    flags = EngineFlags(builder_level=0, compute_capabilities=(compute_capability,))
    description = build_engine(EngineRequest(Target.TENSORRT_RTX, path, profiles, flags), path.parent)
    assert (path.parent / PLAN_FILE).stat().st_size == description.plan_bytes > 0
    assert description.compute_capabilities == (compute_capability,)


def _tensorrt_problems(path: Path) -> list[str]:
    trt = pytest.importorskip("tensorrt_rtx_bindings")
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    read = parser.parse_from_file(str(path))
    return [] if read else [parser.get_error(index).desc() for index in range(parser.num_errors)]


class Matrix(nn.Module):
    def __init__(self, *, bias: bool = True) -> None:
        super().__init__()
        self.layer = nn.Linear(32, 32, bias=bias)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(values)
        return result


SIGNATURE = ComponentSignature((TensorSpec("x", DType.FP32, (32,)),), (TensorSpec("y", DType.FP32, (32,)),))
CALLS = [(torch.randn(4, 32, generator=torch.Generator().manual_seed(0)),)]


def _matrix(method: QuantisationMethod, *, bias: bool = True) -> nn.Module:
    torch.manual_seed(0)
    return quantise_module(Matrix(bias=bias).eval(), CALLS, Quantisation(method=method, exclude=()))


def _metadata(dialect: Dialect) -> GraphMetadata:
    return GraphMetadata("m", "denoiser", "hash", "exporter", dialect)


def test_one_layer_is_exact_in_onnxruntime(tmp_path: Path) -> None:
    """Nothing but the order of summation differs where no other layer amplifies it; weights take a byte each."""
    for method in (INT8, WEIGHT_ONLY, QuantisationMethod.FP8):
        module = _matrix(method)
        expected = run_torch(module, CALLS[0])
        path = tmp_path / f"{method}.onnx"
        export_quantised_onnx(module, SIGNATURE, _metadata(Dialect.ONNXRUNTIME), path)
        # Half a step of the int32 bias, which is rounded on export, is 2e-5.
        np.testing.assert_allclose(run_onnx(path, CALLS[0]), expected, atol=5e-5)
        small = _stored(path)[TensorProto.FLOAT8E4M3FN if method is QuantisationMethod.FP8 else TensorProto.INT8]
        assert 32 * 32 <= small <= 32 * 32 + 40


def test_half_precision_between_quantised_layers(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    for method in (INT8, QuantisationMethod.FP8, QuantisationMethod.NVFP4):
        metadata = _metadata(Dialect.PORTABLE)
        export_quantised_onnx(_matrix(method), SIGNATURE, metadata, path, precision=Precision.FP16)
        onnx.checker.check_model(str(path), full_check=True)
        assert _tensorrt_problems(path) == []


@pytest.mark.parametrize(
    ("method", "precision", "message"),
    [
        (QuantisationMethod.NVFP4, Precision.FP32, "nvfp4 .* ONNX Runtime lacks: choose the target tensorrt"),
        (INT8, Precision.FP16, "precision fp16 with quantised activations needs the target tensorrt"),
    ],
)
def test_what_onnxruntime_lacks_is_refused(
    method: QuantisationMethod, precision: Precision, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(BuildError, match=message):
        export_quantised_onnx(_matrix(method), SIGNATURE, _metadata(Dialect.ONNXRUNTIME), path, precision=precision)
    assert not path.exists()


def test_fp8_without_a_bias_is_refused_for_onnxruntime(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    module = _matrix(QuantisationMethod.FP8, bias=False)
    with pytest.raises(BuildError, match=r"fp8's layers without a bias.* choose the target tensorrt"):
        export_quantised_onnx(module, SIGNATURE, _metadata(Dialect.ONNXRUNTIME), path)
    assert not path.exists()
    export_quantised_onnx(_matrix(QuantisationMethod.FP8, bias=False), SIGNATURE, _metadata(Dialect.PORTABLE), path)
    assert _tensorrt_problems(path) == []
