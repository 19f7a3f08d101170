"""Calls of torch's attention in ONNX Runtime's dialect: one operator where it says the same, else written out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn
from torch.nn import functional

from export.graph.onnx_graph import GraphMetadata, write_onnx
from families.repository import ONNX_FILE
from families.tensors import ComponentSignature, DType, TensorSpec

HEADS, WIDTH = 2, 24
SIGNATURE = ComponentSignature(
    (
        TensorSpec("query", DType.FP32, (HEADS, "rows", WIDTH)),
        TensorSpec("key", DType.FP32, (HEADS, "columns", WIDTH)),
        TensorSpec("mask", DType.BOOL, ("columns",)),
    ),
    (TensorSpec("attended", DType.FP32, (HEADS, "rows", WIDTH)),),
)


@dataclass(frozen=True)
class How:
    """Arguments of a call."""

    masked: bool = False
    per_query: bool = False
    causal: bool = False
    scale: float | None = None
    value_width: int = WIDTH


class Attending(nn.Module):
    """Keys are values too, their first channels."""

    def __init__(self, how: How) -> None:
        super().__init__()
        self.how = how

    def forward(self, query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        seen = mask[:, None, None, :]
        if self.how.per_query:
            seen = seen.expand(-1, -1, query.shape[2], -1)
        return functional.scaled_dot_product_attention(
            query,
            key,
            key[..., : self.how.value_width],
            attn_mask=seen if self.how.masked or self.how.per_query else None,
            is_causal=self.how.causal,
            scale=self.how.scale,
        )


@pytest.mark.parametrize(
    ("how", "operator"),
    [
        pytest.param(How(), "MultiHeadAttention", id="plain"),
        pytest.param(How(masked=True), "MultiHeadAttention", id="mask over keys"),
        pytest.param(How(masked=True, scale=0.7), "MultiHeadAttention", id="scale and mask"),
        pytest.param(How(scale=0.7, value_width=8), "MultiHeadAttention", id="narrow values"),
        pytest.param(How(per_query=True), "Softmax", id="mask over queries and keys"),
        pytest.param(How(causal=True), "Softmax", id="causal"),
    ],
)
def test_a_call_becomes(how: How, operator: str, tmp_path: Path) -> None:
    path = tmp_path / ONNX_FILE
    write_onnx(Attending(how), SIGNATURE, GraphMetadata("tiny", "denoiser", "hash", "test"), path)
    operators = {node.op_type for node in onnx.load(str(path)).graph.node}
    assert operators & {"MultiHeadAttention", "Softmax"} == {operator}
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for rows, columns in ((5, 9), (300, 170)):
        generator = torch.Generator().manual_seed(rows)
        query, key = (torch.randn(3, HEADS, count, WIDTH, generator=generator) * 3 for count in (rows, columns))
        mask = torch.rand(3, columns, generator=generator) > 0.4
        expected = Attending(how)(query, key, mask).numpy()
        (got,) = session.run(None, {"query": query.numpy(), "key": key.numpy(), "mask": mask.numpy()})
        np.testing.assert_allclose(got, expected, atol=2e-4)
