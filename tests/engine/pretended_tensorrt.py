"""A pretended TensorRT and GPU: the library's calls, computing in host memory at the addresses it is given.

The "engine" answers `doubled` = 2 * `sample` + `timestep` of its row, with dynamic rows and width.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace

import numpy as np
import torch


class _DataType(Enum):
    FLOAT = 1


class Mode(Enum):
    INPUT = 1
    OUTPUT = 2


class Strategy(Enum):
    USER_MANAGED = 1


class Graphs(Enum):
    DISABLED = 0
    WHOLE_GRAPH_CAPTURE = 1


class Kernels(Enum):
    LAZY = 0
    EAGER = 1


def library(*, records_graphs: bool) -> SimpleNamespace:
    """The module; with `records_graphs` it looks like TensorRT-RTX."""
    module = SimpleNamespace(TensorIOMode=Mode, ExecutionContextAllocationStrategy=Strategy)
    if records_graphs:
        module.CudaGraphStrategy = Graphs
        module.DynamicShapesKernelSpecializationStrategy = Kernels
    return module


LIMITS = {
    # (rows, width) of each profile: min, opt, max
    0: ((1, 2), (2, 4), (4, 8)),
    1: ((1, 2), (8, 16), (8, 16)),
}


class Context:
    """Follows the library's rules and raises where a caller breaks them."""

    def __init__(self, engine: Engine, config: SimpleNamespace | None) -> None:
        self.engine = engine
        self.config = config
        self.profile: int | None = None
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.scratch = (0, 0)

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        self.profile = profile
        return profile in LIMITS

    def set_device_memory(self, address: int, size: int) -> None:
        self.scratch = (address, size)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        low, _, high = self.engine.get_tensor_profile_shape(name, self.profile)
        self.shapes[name] = shape
        return all(a <= side <= b for a, side, b in zip(low, shape, high, strict=True))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shapes["sample"]

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return address != 0

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == self.engine.stream, "enqueued on a stranger's stream"
        assert self.scratch[1] >= self.engine.device_memory_size_v2
        if self.engine.broken:
            return False
        self.engine.calls += 1
        sample = _memory(self.addresses["sample"], self.shapes["sample"])
        timestep = _memory(self.addresses["timestep"], self.shapes["timestep"])
        _memory(self.addresses["doubled"], self.shapes["sample"])[:] = 2 * sample + timestep[:, None]
        return True


class RuntimeCache:
    """Takes what begins with `kernels of this GPU`."""

    def __init__(self) -> None:
        self.content = b""

    def deserialize(self, content: bytes) -> bool:
        if not content.startswith(b"kernels of this GPU"):
            return False
        self.content = content
        return True

    def serialize(self) -> bytes:
        return self.content or b"kernels of this GPU, compiled anew"


@dataclass
class Engine:
    """`calls` counts executions."""

    stream: int = 7
    broken: bool = False
    calls: int = 0
    made: list[weakref.ref[Context]] = field(default_factory=list)
    device_memory_size_v2: int = 64
    num_io_tensors: int = 3
    num_optimization_profiles: int = 2

    def get_tensor_name(self, index: int) -> str:
        return ("timestep", "sample", "doubled")[index]  # not the signature's order

    def get_tensor_mode(self, name: str) -> Mode:
        return Mode.OUTPUT if name == "doubled" else Mode.INPUT

    def get_tensor_dtype(self, name: str) -> _DataType:
        return _DataType.FLOAT

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        return [shape if name == "sample" else shape[:1] for shape in LIMITS[profile]]

    def create_runtime_config(self) -> SimpleNamespace:
        config = SimpleNamespace(strategy=None)
        config.create_runtime_cache = RuntimeCache
        config.set_runtime_cache = lambda cache: setattr(config, "kernels", cache)
        config.set_execution_context_allocation_strategy = lambda strategy: setattr(config, "strategy", strategy)
        return config

    def create_execution_context(self, argument: Strategy | SimpleNamespace) -> Context:
        config = argument if isinstance(argument, SimpleNamespace) else None
        assert (argument if config is None else config.strategy) is Strategy.USER_MANAGED
        context = Context(self, config)
        self.made.append(weakref.ref(context))
        return context

    @property
    def contexts(self) -> list[Context]:
        """Those that somebody still holds, oldest first."""
        return [context for made in self.made if (context := made()) is not None]


class PretendedGpu:
    """Host memory as a device. Graphs record the call and check that its addresses are still what they were."""

    name = "cpu"
    stream = 7

    def __init__(self) -> None:
        self.captures = 0
        self.replays = 0
        self.in_turn = False

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        assert not self.in_turn, "memory belongs to the caller's stream"
        return torch.full(shape, 99).to(dtype)

    @contextmanager
    def turn(self) -> Iterator[None]:
        assert not self.in_turn
        self.in_turn = True
        try:
            yield
        finally:
            self.in_turn = False

    def capture(self, enqueue: Callable[[], None]) -> Callable[[], None]:
        self.captures += 1
        recorded = weakref.WeakMethod(enqueue)

        def replay() -> None:
            assert self.in_turn
            self.replays += 1
            again = recorded()
            assert again is not None, "the context that was recorded is gone"
            again()

        return replay


def _memory(address: int, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    return np.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape)
