"""What torch's exporter runs over its graphs, without what takes the square of their size."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from onnxscript import rewriter

_RULES = "_DEFAULT_REWRITE_RULES"


@contextmanager
def linear_rewrites() -> Iterator[None]:
    """onnxscript's optimiser leaves out rules for several outputs, put back afterwards.

    For every node it looks for their other outputs in the whole graph, which took SDXL's denoiser minutes. There is one
    such rule, of two slices that are the halves of a tensor; diffusers' modules are cut by `chunk`, which is one node
    from the start.
    """
    rules: tuple[Any, ...] = getattr(rewriter, _RULES)
    setattr(rewriter, _RULES, tuple(rule for rule in rules if _has_one_output(rule)))
    try:
        yield
    finally:
        setattr(rewriter, _RULES, rules)


def _has_one_output(rule: Any) -> bool:
    return bool(rule._target_pattern.has_single_output_node)
