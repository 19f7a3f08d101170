"""Transformers with positions as inputs as graphs: any number of tokens."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from engine.modules import qwen_image_transformer
from export.artefacts.key import Dialect
from export.graph.onnx_graph import GraphMetadata, write_onnx
from export.recipe import EngineFlags, Precision, Range, Target
from export.tensorrt.builder import EngineRequest, build_engine
from export.tensorrt.profiles import resolve
from families.repository import ONNX_FILE
from families.tensors import ComponentSignature, DType, TensorSpec
from tests.engine.test_rotary_modules import HEAD, TEXT, _qwen

_ROTATIONS = tuple(
    TensorSpec(f"{tokens}_{part}", DType.FP32, (f"{tokens}_tokens", HEAD // 2))
    for tokens in ("image", "text")
    for part in ("cos", "sin")
)
_COMMON = (
    TensorSpec("sample", DType.FP32, ("image_tokens", 8)),
    TensorSpec("timestep", DType.FP32, ()),
    TensorSpec("context", DType.FP32, ("text_tokens", TEXT)),
)
_VELOCITY = (TensorSpec("velocity", DType.FP32, ("image_tokens", 8)),)
QWEN = ComponentSignature(
    (
        *_COMMON,
        TensorSpec("context_mask", DType.BOOL, ("text_tokens",)),
        *_ROTATIONS,
        TensorSpec("layered", DType.INT64, ()),
    ),
    _VELOCITY,
)


def _make_qwen() -> nn.Module:
    return qwen_image_transformer.Transformer(_qwen(num_layers=1, use_additional_t_cond=True, use_layer3d_rope=True))


def _inputs(signature: ComponentSignature, rows: int, image: int, text: int) -> list[np.ndarray]:
    sizes = {"image_tokens": image, "text_tokens": text}
    generator = np.random.default_rng(image)
    made = []
    for spec in signature.inputs:
        shape = (rows, *(sizes[dim] if isinstance(dim, str) else dim for dim in spec.dims))
        if spec.dtype is DType.BOOL:
            mask = np.ones(shape, np.bool_)
            mask[rows - 1, text // 2 :] = False
            made.append(mask)
        elif spec.dtype is DType.INT64:
            made.append(np.zeros(shape, np.int64))
        elif spec.name.endswith(("_cos", "_sin")):
            angles = np.random.default_rng(text).uniform(0, 6, shape).astype(np.float32)
            made.append(np.cos(angles) if spec.name.endswith("_cos") else np.sin(angles))
        else:
            made.append(generator.uniform(0, 1, shape).astype(np.float32))
    return made


@pytest.mark.parametrize(
    ("dialect", "precision", "error", "attention"),
    [
        (Dialect.PORTABLE, Precision.FP16, 5e-3, "Softmax"),
        (Dialect.ONNXRUNTIME, Precision.FP32, 1e-5, "MultiHeadAttention"),
    ],
)
def test_one_graph_serves_every_number_of_tokens(
    dialect: Dialect, precision: Precision, error: float, attention: str, tmp_path: Path
) -> None:
    """Qwen-Image's, which has all there is: rotations, a mask, an embedded number, half precision."""
    path = tmp_path / ONNX_FILE
    write_onnx(
        _make_qwen(), QWEN, GraphMetadata("tiny", "denoiser", "hash", "test", dialect), path, precision=precision
    )
    graph = onnx.load(str(path)).graph
    assert [entry.name for entry in graph.input] == [spec.name for spec in QWEN.inputs]
    assert {"Softmax", "MultiHeadAttention"} & {node.op_type for node in graph.node} == {attention}
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    module = _make_qwen()
    for rows, image, text in ((1, 30, 7), (2, 12, 12), (3, 5, 20)):
        arrays = _inputs(QWEN, rows, image, text)
        with torch.inference_mode():
            expected = module(*(torch.from_numpy(array) for array in arrays)).numpy()
        feed = {spec.name: array for spec, array in zip(QWEN.inputs, arrays, strict=True)}
        (got,) = session.run(None, feed)
        np.testing.assert_allclose(got, expected, atol=error * np.abs(expected).max())
    if dialect is Dialect.PORTABLE:
        _compile(path, tmp_path)


def _compile(path: Path, place: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    ranges = {
        "batch": Range(min=1, opt=1, max=2),
        "image_tokens": Range(min=8, opt=64, max=256),
        "text_tokens": Range(min=16, opt=16, max=16),
    }
    flags = EngineFlags(compute_capabilities=("8.9",))
    built = build_engine(EngineRequest(Target.TENSORRT_RTX, path, (resolve(QWEN, ranges),), flags), place)
    assert [tensor.name for tensor in built.inputs] == [spec.name for spec in QWEN.inputs]
