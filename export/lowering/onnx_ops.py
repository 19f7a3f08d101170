"""ONNX Runtime's own operators as torch functions; they exist only inside an export.

Defined in ContribOperators.md of the ONNX Runtime repository; every ONNX Runtime since 1.17 has them.
"""

import torch
from torch.onnx import ops


def multi_head_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int, scale: float | None = None
) -> torch.Tensor:
    """softmax(scale q k^T) v on [B, N, heads * d], heads split and joined inside the operator.

    `scale` is 1 / sqrt(d) unless told; values may be wider or narrower than queries and keys. Its CPU kernel works in
    tiles: memory grows with N, not with N squared.
    """
    attended: torch.Tensor = ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        (query, key, value),
        {"num_heads": heads} if scale is None else {"num_heads": heads, "scale": scale},
        dtype=query.dtype,
        shape=(*query.shape[:2], value.shape[2]),
        version=1,
    )
    return attended
