"""The two TensorRT libraries: one interface under two names. Imported when something is built or run, not before."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from engine.errors import RuntimeUnavailableError

MOST_ELEMENTS = 2**31 - 1
"""Of one tensor in TensorRT. TensorRT-RTX 1.7 compiles attention with more scores as a whole."""


@dataclass(frozen=True, slots=True)
class Library:
    """One of the libraries. `modules` and `distributions` are names in order of preference; the first found counts.

    `lean_runtime`: whether it can embed the small runtime that version-compatible engines carry. `chooses_targets`:
    whether it compiles for GPUs that are not there. `times_kernels`: whether it measures kernels while it builds, and
    not when an engine is loaded. `most_elements`: of one tensor, None where larger ones compile.
    """

    name: str
    modules: tuple[str, ...]
    distributions: tuple[str, ...]
    install: str
    lean_runtime: bool
    chooses_targets: bool
    times_kernels: bool
    most_elements: int | None


TENSORRT = Library(
    name="tensorrt",
    modules=("tensorrt",),
    distributions=("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt_cu13_bindings", "tensorrt_cu12_bindings"),
    install="`pip install tensorrt` from NVIDIA's package index (Linux or Windows, a CUDA GPU with its driver)",
    lean_runtime=True,
    chooses_targets=False,
    times_kernels=True,
    most_elements=MOST_ELEMENTS,
)
TENSORRT_RTX = Library(
    name="tensorrt-rtx",
    modules=("tensorrt_rtx", "tensorrt_rtx_bindings"),
    distributions=("tensorrt-rtx", "tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu12-bindings"),
    install="`pip install 'triptych[tensorrt-rtx]'` (Linux; engines are built with or without a GPU)",
    lean_runtime=False,
    chooses_targets=True,
    times_kernels=False,
    most_elements=None,
)
LIBRARIES: dict[str, Library] = {library.name: library for library in (TENSORRT, TENSORRT_RTX)}


def installed_version(library: Library) -> str | None:
    """The installed version, None where it is not installed. Imports nothing of it."""
    for distribution in library.distributions:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def import_library(library: Library) -> Any:
    """The library's Python module. Raises RuntimeUnavailableError saying what to install, or why it does not load."""
    failures = []
    for module in library.modules:
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            failures.append(str(error))
        except (ImportError, OSError) as error:  # installed, but a shared library of it does not load
            raise RuntimeUnavailableError(f"{library.name} is installed but does not load: {error}") from error
    raise RuntimeUnavailableError(
        f"{library.name} is not installed ({failures[0]}): {library.install}",
    )
