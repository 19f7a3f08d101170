"""Attention in pieces: the same numbers, fewer elements at a time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn
from torch.nn import functional

from engine.runtimes.tensorrt_library import MOST_ELEMENTS
from export.artefacts.key import Dialect
from export.errors import BuildError
from export.graph.onnx_graph import GraphMetadata, write_onnx
from export.recipe import Range
from export.tensorrt.chunked_attention import chunk_attention
from export.tensorrt.graph import prepare_graph
from export.tensorrt.profiles import resolve
from export.tensorrt.symbols import evaluate
from families.repository import ONNX_FILE
from families.tensors import ComponentSignature, DType, TensorSpec

HEADS, WIDTH = 2, 8
SIGNATURE = ComponentSignature(
    (
        TensorSpec("tokens", DType.FP32, ("length", HEADS * WIDTH)),
        TensorSpec("mask", DType.BOOL, ("length",)),
        TensorSpec("bias", DType.FP32, ("length", "length2")),
    ),
    (TensorSpec("attended", DType.FP32, ("length", HEADS * WIDTH)),),
)
SIZES = {"batch": 2, "length": 23}


class Attention(nn.Module):
    """Twice: with a mask that is one row for all queries, and without any."""

    def __init__(self) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(HEADS * WIDTH, HEADS * WIDTH) for _ in range(3))

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        query, key, value = (part(tokens).unflatten(-1, (HEADS, WIDTH)).transpose(1, 2) for part in self.projections)
        first = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        second = functional.scaled_dot_product_attention(key, query, value)
        return (first + second).transpose(1, 2).flatten(2)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("attention") / ONNX_FILE
    signature = ComponentSignature(SIGNATURE.inputs[:2], SIGNATURE.outputs)
    metadata = GraphMetadata("toy", "attention", "hash", "test", Dialect.PORTABLE)
    write_onnx(Attention().eval(), signature, metadata, path)
    return path


def feed(length: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(length)
    mask = np.ones((2, length), np.bool_)
    mask[1, length // 2 :] = False
    return {"tokens": generator.standard_normal((2, length, HEADS * WIDTH), dtype=np.float32), "mask": mask}


def answer(model: bytes, length: int) -> np.ndarray:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, feed(length))[0]
    return result


@pytest.mark.parametrize("pieces", [2, 5])
def test_pieces_give_the_numbers_of_the_whole(graph: Path, pieces: int) -> None:
    whole = onnx.load(str(graph))
    model = onnx.load(str(graph))
    scores = 2 * HEADS * 23 * 23
    assert chunk_attention(model, [SIZES], most=scores) == 0
    assert chunk_attention(model, [SIZES], most=-(-scores // pieces)) == 2
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node].count("Softmax") == 2 * pieces
    for length in (23, 7, 64):
        expected = answer(whole.SerializeToString(), length)
        np.testing.assert_allclose(answer(model.SerializeToString(), length), expected, atol=1e-6)


def test_a_bias_for_every_query_is_split_with_them() -> None:
    make, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    floats = onnx.TensorProto.FLOAT
    body = onnx.helper.make_graph(
        [
            make("MatMul", ["q", "k"], ["scores"], name="scores"),
            make("Add", ["scores", "bias"], ["biased"], name="bias"),
            make("Softmax", ["biased"], ["weights"], axis=-1, name="softmax"),
            make("MatMul", ["weights", "v"], ["out"], name="values"),
        ],
        "biased",
        [
            info("q", floats, [1, "n", 4]),
            info("k", floats, [1, 4, 6]),
            info("v", floats, [1, 6, 4]),
            info("bias", floats, [1, "n", 6]),
        ],
        [info("out", floats, [1, "n", 4])],
        value_info=[info("scores", floats, [1, "n", 6])],
    )
    model = onnx.helper.make_model(body, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    generator = np.random.default_rng(0)
    shapes = {"q": (1, 11, 4), "k": (1, 4, 6), "v": (1, 6, 4), "bias": (1, 11, 6)}
    values = {name: generator.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    (whole,) = ort.InferenceSession(model.SerializeToString()).run(None, values)
    assert chunk_attention(model, [{"n": 11}], most=30) == 1
    (pieces,) = ort.InferenceSession(model.SerializeToString()).run(None, values)
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


def test_only_what_passes_the_limit_is_rewritten(graph: Path) -> None:
    signature = ComponentSignature(SIGNATURE.inputs[:2], SIGNATURE.outputs)
    small = resolve(signature, {"batch": Range(min=1, opt=1, max=2), "length": Range(min=1, opt=8, max=23)})
    large = resolve(signature, {"batch": Range(min=1, opt=1, max=2), "length": Range(min=1, opt=8, max=30_000)})
    assert prepare_graph(graph, (small,), MOST_ELEMENTS).rewritten is None
    assert prepare_graph(graph, (large,), None).rewritten is None
    rewritten = prepare_graph(graph, (small, large), MOST_ELEMENTS).rewritten
    assert rewritten is not None
    model = onnx.load_model_from_string(rewritten)
    # 2 rows x 2 heads x 30,000 x 30,000 scores are 1.7 times what may be.
    assert [node.op_type for node in model.graph.node].count("Softmax") == 4


def test_scores_that_are_an_output_stay_whole() -> None:
    make, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    floats = onnx.TensorProto.FLOAT
    body = onnx.helper.make_graph(
        [
            make("MatMul", ["q", "q"], ["scores"]),
            make("Softmax", ["scores"], ["weights"]),
            make("MatMul", ["weights", "q"], ["out"]),
        ],
        "shown",
        [info("q", floats, [4, 4])],
        [info("out", floats, [4, 4]), info("weights", floats, [4, 4])],
        value_info=[info("scores", floats, [4, 4])],
    )
    model = onnx.helper.make_model(body)
    assert chunk_attention(model, [{}], most=1) == 0


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("height*width", 12),
        ("((((height - 1)//2)) + 1)*2", 4),
        ("Max(height, 7) % 4", 3),
        ("-height + 8", 5),
        ("unknown", None),
        ("height.real", None),
        ("1 +", None),
    ],
)
def test_axes_are_expressions_of_symbols(expression: str, value: int | None) -> None:
    assert evaluate(expression, {"height": 3, "width": 4}) == value


def test_a_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    path = tmp_path / ONNX_FILE
    with pytest.raises(BuildError, match=r"model\.onnx cannot be read"):
        prepare_graph(path, (), None)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(BuildError, match=r"model\.onnx cannot be read"):
        prepare_graph(path, (), None)


def test_pieces_are_compiled(graph: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    from export.recipe import EngineFlags, Target
    from export.tensorrt.builder import EngineRequest, build_engine

    signature = ComponentSignature(SIGNATURE.inputs[:2], SIGNATURE.outputs)
    large = resolve(signature, {"batch": Range(min=1, opt=1, max=2), "length": Range(min=16, opt=64, max=30_000)})
    flags = EngineFlags(compute_capabilities=("8.9",))
    whole = resolve(signature, {"batch": Range(min=1, opt=1, max=2), "length": Range(min=16, opt=64, max=1000)})
    requests = [EngineRequest(Target.TENSORRT_RTX, graph, (profile,), flags) for profile in (whole, large)]
    layers = [build_engine(replace(request, most_elements=MOST_ELEMENTS), tmp_path).layers for request in requests]
    assert layers[1] > layers[0]
    assert build_engine(requests[1], tmp_path).layers == layers[0], "TensorRT-RTX itself takes it whole"
