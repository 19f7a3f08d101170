"""NVIDIA GPUs through the driver's management library (NVML): no CUDA context, no tensor library, no subprocess."""

import ctypes
import logging
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

from gateway.domain.machine import Gpu

logger = logging.getLogger(__name__)

_LIBRARY = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"
_TEXT_BYTES = 96
_Answer = TypeVar("_Answer")


class _Memory(ctypes.Structure):
    """nvmlMemory_t."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class _NvmlError(Exception):
    """A call failed."""


class _Nvml:
    """The few calls we need; every one of them returns 0 on success."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(_LIBRARY)

    def call(self, function: str, *arguments: object) -> None:
        """Raises _NvmlError for any other status."""
        status = getattr(self._library, function)(*arguments)
        if status != 0:
            raise _NvmlError(f"{function} returned {status}")

    def text(self, function: str, *arguments: object) -> str:
        """A call that fills a buffer with text."""
        buffer = ctypes.create_string_buffer(_TEXT_BYTES)
        self.call(function, *arguments, buffer, ctypes.c_uint(_TEXT_BYTES))
        return buffer.value.decode(errors="replace")

    def used_bytes(self, index: int) -> int:
        """Between init and shutdown. Raises _NvmlError where there is no such GPU."""
        handle, memory = ctypes.c_void_p(), _Memory()
        self.call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
        self.call("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
        return int(memory.used)

    def gpus(self) -> Iterator[Gpu]:
        """Between init and shutdown."""
        driver = self.text("nvmlSystemGetDriverVersion")
        count = ctypes.c_uint()
        self.call("nvmlDeviceGetCount_v2", ctypes.byref(count))
        for index in range(count.value):
            handle, memory = ctypes.c_void_p(), _Memory()
            major, minor = ctypes.c_int(), ctypes.c_int()
            self.call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
            self.call("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
            self.call("nvmlDeviceGetCudaComputeCapability", handle, ctypes.byref(major), ctypes.byref(minor))
            name = self.text("nvmlDeviceGetName", handle)
            yield Gpu(name, memory.total, f"{major.value}.{minor.value}", driver)


def nvidia_gpus() -> tuple[Gpu, ...]:
    """Every NVIDIA GPU of this machine; none where there is no driver, or where it does not answer."""
    return _asked(lambda nvml: tuple(nvml.gpus())) or ()


def gpu_used_bytes(index: int) -> int | None:
    """Memory in use, by whomever, of the GPU of this number; None where it cannot be told."""
    return _asked(lambda nvml: nvml.used_bytes(index))


def _asked(question: Callable[[_Nvml], _Answer]) -> _Answer | None:
    """The driver's answer; None where there is no driver, or where it does not answer."""
    try:
        nvml = _Nvml()
        nvml.call("nvmlInit_v2")
    except (OSError, AttributeError, _NvmlError) as error:
        logger.debug("no NVIDIA driver: %s", error)
        return None
    try:
        return question(nvml)
    except (AttributeError, _NvmlError) as error:
        logger.warning("the NVIDIA driver does not say what it has: %s", error)
        return None
    finally:
        nvml.call("nvmlShutdown")
