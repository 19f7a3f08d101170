"""Runtimes by name."""

import importlib
from collections.abc import Callable
from pathlib import Path

from engine.errors import RuntimeUnavailableError
from engine.runtimes.base import Runtime
from engine.runtimes.turns import taking_turns
from engine.settings import RuntimeSettings
from families.manifest import Component, ModelManifest

Opener = Callable[[Path, ModelManifest, Component, RuntimeSettings], Runtime]

# A new runtime is a module with `open_runtime(folder, manifest, component, settings)` and one entry here.
_MODULES: dict[str, str] = {
    "torch": "engine.runtimes.torch_runtime",
    "onnxruntime": "engine.runtimes.onnx_runtime",
    "tensorrt": "engine.runtimes.tensorrt",
    "tensorrt_rtx": "engine.runtimes.tensorrt",  # the engine itself says which library it needs
}
KNOWN_RUNTIMES: tuple[str, ...] = tuple(_MODULES)


def open_runtime(
    name: str, folder: Path, manifest: ModelManifest, component: Component, settings: RuntimeSettings
) -> Runtime:
    """Open one component's version folder. Raises RuntimeUnavailableError saying what is missing."""
    module_name = _MODULES.get(name)
    if module_name is None:
        raise RuntimeUnavailableError(f"unknown runtime {name!r}; known are {', '.join(KNOWN_RUNTIMES)}")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise RuntimeUnavailableError(f"runtime {name!r} needs a library that is not installed: {error}") from error
    opener: Opener = module.open_runtime
    return taking_turns(opener(folder, manifest, component, settings), folder, settings.thread_count)
