"""Adapters beside the weights for one call: every row of a batch meets its own adapters and no other's."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from engine.lora.adapter import Adapter, LowRank
from engine.runtimes.adapters import RowAdapters


@dataclass(frozen=True, slots=True)
class _Share:
    """Rows that meet the same adapter: one stretch, or single rows by their numbers."""

    adapter: Adapter
    rows: slice | torch.Tensor
    scales: torch.Tensor


@contextmanager
def acting(adapters: RowAdapters, find: Callable[[str], Adapter]) -> Iterator[None]:
    """While this lasts the layers that the adapters know answer with their changes. `find` may raise."""
    by_layer: dict[nn.Module, list[tuple[LowRank, _Share]]] = {}
    for share in _shares(adapters, find):
        for layer, change in share.adapter.layers.items():
            by_layer.setdefault(layer, []).append((change, share))
    with ExitStack() as stack:
        for adapted, changes in by_layer.items():
            hook = _Hook(len(adapters.uses), changes)
            stack.callback(adapted.register_forward_hook(hook).remove)
        yield


def _shares(adapters: RowAdapters, find: Callable[[str], Adapter]) -> Iterator[_Share]:
    # By name: a row's changes are summed in the same order whatever other rows want.
    for name in sorted({use.name for uses in adapters.uses for use in uses}):
        adapter = find(name)
        wanted = [(row, use.scale) for row, uses in enumerate(adapters.uses) for use in uses if use.name == name]
        for group in [[one] for one in wanted] if adapters.apart else [wanted]:
            rows = [row for row, _ in group]
            stretch = rows[-1] - rows[0] + 1 == len(rows)
            yield _Share(
                adapter,
                slice(rows[0], rows[-1] + 1) if stretch else torch.tensor(rows),
                torch.tensor([scale for _, scale in group], dtype=torch.float32),
            )


class _Hook:
    """Adds the changes of one layer's rows to its output."""

    def __init__(self, rows: int, changes: Sequence[tuple[LowRank, _Share]]) -> None:
        self._rows = rows
        self._changes = changes

    def __call__(self, layer: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        values = inputs[0]
        if values.shape[0] != self._rows:
            # A module that folds its batch into other axes would give rows the adapters of their neighbours.
            raise RuntimeError(f"{type(layer).__name__} works on {values.shape[0]} rows of a batch of {self._rows}")
        for change, share in self._changes:
            scales = share.scales.to(output.device, output.dtype).reshape(-1, *[1] * (output.dim() - 1))
            output[share.rows] += scales * change(layer, values[share.rows])
