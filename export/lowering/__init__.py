"""Rewrites of a loaded torch module that keep its numbers and make its graph general and fast.

Every artefact is compared with the untouched module afterwards, so a rewrite that changes a number cannot be published.
"""

from export.lowering.fused_attention import attention_calls
from export.lowering.rewrites import lower

__all__ = ["attention_calls", "lower"]
