"""Weights that wait in host memory and are on the device only while they are computed with."""

from collections.abc import Iterable

import torch
from torch import nn

from families.torch_options import Offload


def offload(module: nn.Module, device: torch.device, kind: Offload) -> None:
    """Of the whole module between its calls (MODEL), or of each layer between its own (SEQUENTIAL).

    Parameters stay where they are and are copied for each use; buffers, which are small, move for good.
    """
    for owner in module.modules():
        for name, buffer in owner._buffers.items():
            if buffer is not None:
                owner._buffers[name] = buffer.to(device)
    if kind is Offload.MODEL:
        _Parked(module.modules(), device).hook(module)
    else:
        for layer in module.modules():
            if layer._parameters:
                _Parked([layer], device).hook(layer)


class _Parked:
    """Layers' own parameters, whose place is in host memory."""

    def __init__(self, layers: Iterable[nn.Module], device: torch.device) -> None:
        self._homes = [
            (layer, name, parameter)
            for layer in layers
            for name, parameter in layer._parameters.items()
            if parameter is not None
        ]
        self._device = device

    def hook(self, module: nn.Module) -> None:
        module.register_forward_pre_hook(lambda *_: self._fetch())
        # Always: a call that failed must not leave its weights on a device that may just have run out of memory.
        module.register_forward_hook(lambda *_: self._park(), always_call=True)

    def _fetch(self) -> None:
        for layer, name, home in self._homes:
            layer._parameters[name] = nn.Parameter(home.to(self._device), requires_grad=False)

    def _park(self) -> None:
        for layer, name, home in self._homes:
            layer._parameters[name] = home
