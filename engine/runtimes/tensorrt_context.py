"""An execution context with its shapes and addresses set: everything of one call but its data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from engine.runtimes.tensorrt_device import DTYPES, Device
from engine.runtimes.tensorrt_io import Binding, Shape
from engine.runtimes.tensorrt_log import ErrorTrap, joined


class EngineCallError(RuntimeError):
    """The library refused a call; the message has its own words."""


class Execution:
    """One library context on one profile. `scratch` is its working memory, which contexts share: calls are serial."""

    def __init__(self, context: Any, profile: int, device: Device, trap: ErrorTrap) -> None:
        self._context = context
        self._device = device
        self._trap = trap
        self._do("choose the profile", context.set_optimization_profile_async, profile, device.stream)

    def shape_outputs(self, names: Sequence[str], shapes: Sequence[Shape], outputs: Sequence[Binding]) -> list[Shape]:
        """Set the inputs' shapes; the outputs' follow from them. Raises EngineCallError."""
        for name, shape in zip(names, shapes, strict=True):
            self._do(f"take {name} {shape}", self._context.set_input_shape, name, shape)
        found = [tuple(int(side) for side in self._context.get_tensor_shape(output.name)) for output in outputs]
        for output, shape in zip(outputs, found, strict=True):
            if any(side < 0 for side in shape):
                raise EngineCallError(f"the shape of {output.name} depends on data, which is not supported: {shape}")
        return found

    def bind(self, names: Sequence[str], tensors: Sequence[torch.Tensor]) -> None:
        """Give addresses, which must stay valid until the call is done. Raises EngineCallError."""
        for name, tensor in zip(names, tensors, strict=True):
            self._do(f"bind {name}", self._context.set_tensor_address, name, tensor.data_ptr())

    def use_scratch(self, scratch: torch.Tensor) -> None:
        """Work in this memory."""
        self._context.set_device_memory(scratch.data_ptr(), scratch.numel())

    def enqueue(self) -> None:
        """Put the call on the device's stream. Raises EngineCallError."""
        self._do("run", self._context.execute_async_v3, self._device.stream)

    def _do(self, what: str, call: Any, *arguments: Any) -> None:
        with self._trap.collecting() as errors:
            done = call(*arguments)
        if not done:
            raise EngineCallError(f"the engine cannot {what}: {joined(errors)}")


def allocate(device: Device, bindings: Sequence[Binding], shapes: Sequence[Shape]) -> list[torch.Tensor]:
    """Memory for tensors of these types and shapes."""
    return [device.empty(shape, DTYPES[binding.dtype]) for binding, shape in zip(bindings, shapes, strict=True)]
