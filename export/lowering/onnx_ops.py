"""ONNX Runtime's own operators as torch functions; they exist only inside an export.

Defined in ContribOperators.md of the ONNX Runtime repository; every ONNX Runtime since 1.17 has them.
"""

import torch
from torch.onnx import ops


def multi_head_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int) -> torch.Tensor:
    """softmax(q k^T / sqrt(d)) v on [B, N, heads * d], heads split and joined inside the operator.

    Its CPU kernel works in tiles: memory grows with N, not with N squared.
    """
    attended: torch.Tensor = ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        (query, key, value),
        {"num_heads": heads},
        dtype=query.dtype,
        shape=query.shape,
        version=1,
    )
    return attended
