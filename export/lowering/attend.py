"""How attention is written down: one operator of ONNX Runtime's own, or operators that every compiler knows."""

from collections.abc import Callable

import torch
from torch.nn import functional

from export.artefacts.key import Dialect
from export.lowering.onnx_ops import multi_head_attention

Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int], torch.Tensor]
"""softmax(q k^T / sqrt(d)) v on [B, N, heads * d] with the number of heads."""


def attention_of(dialect: Dialect) -> Attend:
    """The attention of a dialect."""
    return multi_head_attention if dialect is Dialect.ONNXRUNTIME else portable_attention


def portable_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int) -> torch.Tensor:
    """Products and a softmax, which TensorRT fuses again.

    Written out: from opset 23 on, torch's own function becomes ONNX's Attention, which TensorRT-RTX cannot take apart
    for shapes that it has no kernel for, and which cannot be cut into pieces of its queries.
    """
    batch, rows, width = query.shape

    def split(part: torch.Tensor) -> torch.Tensor:
        return part.reshape(batch, -1, heads, width // heads).transpose(1, 2)

    # Half of the scale on either side, so that products of half precision do not overflow.
    scale = (width // heads) ** -0.25
    scores = (split(query) * scale) @ (split(key) * scale).transpose(-2, -1)
    attended = functional.softmax(scores, dim=-1) @ split(value)
    return attended.transpose(1, 2).reshape(batch, rows, width)
