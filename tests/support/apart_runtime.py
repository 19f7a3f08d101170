"""The torch runtime as if its device had a memory of its own: what is parked is not there to compute with."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from engine.runtimes.base import Parks, Runtime
from engine.runtimes.torch_runtime import TorchRuntime
from engine.runtimes.torch_runtime import open_runtime as open_torch
from engine.settings import RuntimeSettings
from families.manifest import Component, ModelManifest
from families.tensors import Array


class ApartRuntime(Runtime, Parks):
    """`inner` computes; parked, its weights are somewhere else and its module is empty."""

    def __init__(self, inner: TorchRuntime) -> None:
        self._inner = inner
        self._kept: dict[str, torch.Tensor] | None = None

    @property
    def device(self) -> str:
        return self._inner.device

    @property
    def host_threads(self) -> int:
        return self._inner.host_threads

    @property
    def computes_on_host(self) -> bool:
        return self._inner.computes_on_host

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return self._inner.run(inputs)

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        return self._inner.run_arrays(inputs)

    def park(self) -> int | None:
        assert self._kept is None
        self._kept = {name: tensor.detach().clone() for name, tensor in _tensors(self._inner._module)}
        self._inner._module.to("meta")
        return sum(tensor.nbytes for tensor in self._kept.values())

    def unpark(self) -> None:
        assert self._kept is not None
        self._inner._module.to_empty(device="cpu")
        with torch.no_grad():
            for name, tensor in _tensors(self._inner._module):
                tensor.copy_(self._kept[name])
        self._kept = None


def open_runtime(
    folder: Path, manifest: ModelManifest, component: Component, settings: RuntimeSettings
) -> ApartRuntime:
    return ApartRuntime(open_torch(folder, manifest, component, settings))


def _tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()
