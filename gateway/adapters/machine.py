"""Describes this machine without importing anything heavy: versions come from the packages' metadata."""

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from gateway.adapters.nvml import nvidia_gpus
from gateway.domain.machine import Library, Machine

_LIBRARIES = (
    "torch",
    "diffusers",
    "transformers",
    "safetensors",
    "gguf",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-rtx-cu13-bindings",
    "nvidia-modelopt",
    "nvidia-pytriton",
    "tritonclient",
    "numpy",
)


@cache
def describe_machine() -> Machine:
    """Nothing of this changes while a process runs, so it is found out once."""
    return Machine(
        triptych=_version("triptych") or "unknown",
        python=platform.python_version(),
        platform=platform.platform(),
        cpus=_cpus(),
        memory_bytes=_memory(),
        gpus=nvidia_gpus(),
        libraries=tuple(Library(name, found) for name in _LIBRARIES if (found := _version(name)) is not None),
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None
