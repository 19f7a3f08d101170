"""Every `scaled_dot_product_attention` that a module calls, as ONNX Runtime's fused operator where that says the same.

Written out, as torch's exporter does it, attention keeps the scores of all tokens with all tokens: several matrices of
N x N for every head, and a mask costs two passes over each. A layered picture of a few thousand tokens takes gigabytes.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from export.artefacts.key import Dialect
from export.lowering.onnx_ops import multi_head_attention

_UNSEEN = -3e4
"""Added to the scores of keys that do not count: e to the power of it is 0, and half precision still has the number."""
_ALIGNED = 8
"""Kernels for GPUs take heads in such portions of channels."""


def attention_calls(dialect: Dialect) -> AbstractContextManager[object]:
    """For as long as a module of a dialect is traced."""
    return _FusedAttention() if dialect is Dialect.ONNXRUNTIME else nullcontext()


class _FusedAttention(TorchFunctionMode):
    """While it is active, attention without a mask, or with one over keys, becomes one operator; other calls stay."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.scaled_dot_product_attention:
            return _attend(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _attend(  # noqa: PLR0917 - torch's call
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """[B, H, N, D] and twice [B, H, M, D] -> [B, H, N, D]; the names are those of torch's call."""
    if is_causal or enable_gqa or query.dim() != 4 or not _is_over_keys(attn_mask):
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    batch, heads, rows, width = query.shape
    scale = width**-0.5 if scale is None else scale
    if attn_mask is not None:
        query, key = _with_mask(query, key, attn_mask)
    attended = multi_head_attention(_joined(query), _joined(key), _joined(value), heads, scale)
    return attended.reshape(batch, rows, heads, -1).transpose(1, 2)


def _is_over_keys(mask: torch.Tensor | None) -> bool:
    """One truth value a key, the same for all queries and heads: [B, 1, 1, M]."""
    return mask is None or (mask.dtype is torch.bool and mask.dim() == 4 and mask.shape[1] == mask.shape[2] == 1)


def _with_mask(query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A channel more, 1 in every query and far below 0 in keys that do not count: the scores then say the mask.

    The operator takes masks, but not in tiles.
    """
    unseen = torch.where(mask.transpose(2, 3), 0.0, _UNSEEN).to(key.dtype).expand(-1, key.shape[1], -1, -1)
    rest = (0, _ALIGNED - 1)
    ones = torch.ones_like(query[..., :1])
    return torch.cat((query, functional.pad(ones, rest)), -1), torch.cat((key, functional.pad(unseen, rest)), -1)


def _joined(heads: torch.Tensor) -> torch.Tensor:
    """[B, H, N, D] -> [B, N, H * D]."""
    return heads.transpose(1, 2).flatten(2)
