"""Running out of memory ends one call, not the process: the error is told apart, and what is cached is given back."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from engine.errors import OutOfMemoryError

_Answer = TypeVar("_Answer")
# torch's allocators on GPUs, MPS and the CPU, cuDNN, ONNX Runtime's arenas, the C++ library.
_SAYINGS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate memory",
    "cudnn_status_alloc_failed",
    "bad_alloc",
    "bad allocation",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a library failed because there was no memory; few of them have a class for it."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, Exception) and any(saying in str(error).lower() for saying in _SAYINGS)


def within_memory(call: Callable[..., _Answer], *arguments: Any) -> _Answer:
    """The call's answer. Raises OutOfMemoryError, when everything that the failed call held is free again."""
    try:
        return call(*arguments)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0] or type(error).__name__
    # Out here nothing refers to the frames of the call any more, nor to the tensors in them.
    free_cached()
    raise OutOfMemoryError(f"out of memory: {reason}")


def free_cached() -> None:
    """Give back what torch keeps of a device for later use. Does nothing where torch is not loaded."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
