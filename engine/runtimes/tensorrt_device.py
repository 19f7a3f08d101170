"""What the TensorRT runtime needs of a GPU: memory, one stream, graphs. The tests put a pretended one in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch

from engine.errors import RuntimeUnavailableError

DTYPES: dict[str, torch.dtype] = {
    "FLOAT": torch.float32,
    "HALF": torch.float16,
    "BF16": torch.bfloat16,
    "INT8": torch.int8,
    "INT32": torch.int32,
    "INT64": torch.int64,
    "UINT8": torch.uint8,
    "BOOL": torch.bool,
}
"""torch's types by the libraries' names of them."""


class Device(Protocol):
    """Memory is allocated on the caller's stream; the engine works on another, ordered with the caller's by `turn`."""

    @property
    def name(self) -> str:
        """As torch spells it: cuda:0."""
        ...

    @property
    def stream(self) -> int:
        """Handle of the stream that engines are enqueued on."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Uninitialised memory."""
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Inside, work goes to `stream`: after all that the caller enqueued so far, before all that it will."""
        ...

    def capture(self, enqueue: Callable[[], None]) -> Callable[[], None]:
        """Record what `enqueue` puts on `stream`; the answer replays it there."""
        ...


class CudaDevice:
    """The first GPU, or the one that was named.

    Memory stays the caller's stream's: both directions of `turn` are ordered by events, so the caching allocator may
    hand a freed block to the caller's next kernel without knowing of our stream.
    """

    def __init__(self, device: str) -> None:
        if not torch.cuda.is_available():
            raise RuntimeUnavailableError(
                "the tensorrt runtime needs an NVIDIA GPU that torch can use (CUDA build, driver)"
            )
        self._device = torch.device("cuda" if device == "auto" else device)
        if self._device.type != "cuda":
            raise RuntimeUnavailableError(f"device {device!r} was asked for, but engines run on cuda alone")
        if self._device.index is None:
            self._device = torch.device("cuda", torch.cuda.current_device())
        if self._device.index >= torch.cuda.device_count():
            raise RuntimeUnavailableError(
                f"device {device!r} was asked for; there are {torch.cuda.device_count()} GPUs"
            )
        torch.cuda.set_device(self._device)
        self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    @property
    def name(self) -> str:
        """See the protocol."""
        return str(self._device)

    @property
    def stream(self) -> int:
        """See the protocol."""
        return int(self._stream.cuda_stream)

    @property
    def compute_capability(self) -> str:
        """Like "8.9"."""
        major, minor = torch.cuda.get_device_capability(self._device)
        return f"{major}.{minor}"

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """See the protocol."""
        return torch.empty(shape, dtype=dtype, device=self._device)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """See the protocol."""
        caller = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(caller)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            caller.wait_stream(self._stream)

    def capture(self, enqueue: Callable[[], None]) -> Callable[[], None]:
        """See the protocol."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            enqueue()
        return graph.replay
