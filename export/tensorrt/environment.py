"""What an engine depends on beyond its graph and its recipe. Imports no tensor library and asks the GPU once."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache

from engine.runtimes.tensorrt_library import LIBRARIES, installed_version
from export.recipe import Target

NO_GPU = "no GPU"
_SECONDS = 10


def engine_environment(target: Target) -> tuple[tuple[str, str], ...]:
    """Names and values: library and version, and what the machine's own GPU is. Empty for targets without engines.

    TensorRT-RTX engines may be for GPUs that are not here: those are in the recipe's flags.
    """
    library = LIBRARIES.get(target.value)
    if library is None:
        return ()
    gpu = local_gpu()
    return (
        ("library", f"{library.name} {installed_version(library) or 'not installed'}"),
        ("cuda", gpu.cuda),
        ("gpu", gpu.name),
        ("compute_capability", gpu.compute_capability),
    )


@dataclass(frozen=True, slots=True)
class LocalGpu:
    """The first GPU; without one the fields but `name` are empty. `compute_capability` is like "8.9"."""

    name: str = NO_GPU
    compute_capability: str = ""
    cuda: str = ""


@cache
def local_gpu() -> LocalGpu:
    """Asks the driver's own tool, which answers in a fraction of what importing torch would take."""
    found = _query("--query-gpu=name,compute_cap", "--format=csv,noheader")
    if not found:
        return LocalGpu()
    name, _, capability = found.splitlines()[0].rpartition(",")
    return LocalGpu(name.strip(), capability.strip(), _driver_cuda())


def _driver_cuda() -> str:
    """The newest CUDA that the driver runs, from its summary page."""
    _, marker, rest = _query().partition("CUDA Version:")
    return rest.split()[0] if marker else ""


def _query(*arguments: str) -> str:
    """The tool's answer, empty where there is no driver or it has no GPU."""
    try:
        done = subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
