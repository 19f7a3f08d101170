"""Makes execution contexts, for both libraries.

TensorRT-RTX compiles kernels when an engine runs. Contexts for any shape compile in the background and answer with
general kernels until then; contexts of a bucket, whose shapes stay, compile at once and record their own CUDA graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from engine.errors import RuntimeUnavailableError
from engine.runtimes.tensorrt_context import Execution
from engine.runtimes.tensorrt_device import Device
from engine.runtimes.tensorrt_kernels import KernelCache
from engine.runtimes.tensorrt_log import ErrorTrap


@dataclass(frozen=True, slots=True)
class LoadedEngine:
    """A deserialised engine, the module that it came from, and where its kernels are kept (TensorRT-RTX)."""

    module: Any
    engine: Any
    trap: ErrorTrap
    kernels: KernelCache | None = None


class Contexts:
    """Contexts of one engine, all working in one piece of memory: calls are serial on the device's stream."""

    def __init__(self, loaded: LoadedEngine, device: Device) -> None:
        self._loaded = loaded
        self._device = device
        self._scratch = device.empty((max(int(loaded.engine.device_memory_size_v2), 1),), torch.uint8)
        self._strategies = getattr(loaded.module, "CudaGraphStrategy", None)

    @property
    def record_themselves(self) -> bool:
        """Whether the library records a bucket's graph by itself."""
        return self._strategies is not None

    def for_any_shape(self, profile: int) -> Execution:
        """A context whose shapes change from call to call."""
        return self._open(profile, fixed=False)

    def for_one_shape(self, profile: int) -> Execution:
        """A context that keeps its shapes and addresses."""
        return self._open(profile, fixed=True)

    def keep_kernels(self) -> None:
        """Write down what was compiled so far, where that is wanted."""
        if self._strategies is not None and self._loaded.kernels is not None:
            self._loaded.kernels.save()

    def _open(self, profile: int, *, fixed: bool) -> Execution:
        module, engine = self._loaded.module, self._loaded.engine
        own_memory = module.ExecutionContextAllocationStrategy.USER_MANAGED
        if self._strategies is None:
            context = engine.create_execution_context(own_memory)
        else:
            config = engine.create_runtime_config()
            config.set_execution_context_allocation_strategy(own_memory)
            kernels = module.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = kernels.EAGER if fixed else kernels.LAZY
            graphs = self._strategies
            if self._loaded.kernels is not None:
                self._loaded.kernels.attach(config)
            config.cuda_graph_strategy = graphs.WHOLE_GRAPH_CAPTURE if fixed else graphs.DISABLED
            context = engine.create_execution_context(config)
        if context is None:
            raise RuntimeUnavailableError("the library gave no execution context: is the GPU's memory full?")
        made = Execution(context, profile, self._device, self._loaded.trap)
        made.use_scratch(self._scratch)
        return made
