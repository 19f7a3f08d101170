"""A recipe's flags on a builder's configuration; what a library does not have is an error that names both."""

from __future__ import annotations

from typing import Any

from engine.runtimes.tensorrt_library import Library
from export.errors import RecipeError
from export.recipe import EngineFlags

_MIB = 1 << 20


def apply_flags(module: Any, library: Library, config: Any, flags: EngineFlags) -> None:
    """Set everything that `flags` asks for. Raises RecipeError naming the key and the library."""
    config.builder_optimization_level = flags.builder_level
    if flags.workspace_mib is not None:
        config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, flags.workspace_mib * _MIB)
    wanted = {
        "refit": (flags.refit, "REFIT"),
        "weight_streaming": (flags.weight_streaming, "WEIGHT_STREAMING"),
        "version_compatible": (flags.version_compatible, "VERSION_COMPATIBLE"),
    }
    for key, (on, member) in wanted.items():
        if on:
            config.set_flag(_builder_flag(module, library, key, member))
    _set_capabilities(module, library, config, flags.compute_capabilities)


def _builder_flag(module: Any, library: Library, key: str, member: str) -> Any:
    flag = getattr(module.BuilderFlag, member, None)
    if flag is None:
        raise RecipeError(f"engine.{key}: {library.name} {module.__version__} has no such option")
    if key == "version_compatible" and not library.lean_runtime:
        raise RecipeError(f"engine.{key}: {library.name} comes without the lean runtime which such engines carry")
    return flag


def _set_capabilities(module: Any, library: Library, config: Any, wanted: tuple[str, ...]) -> None:
    """Which GPUs the engine is for; without a wish the library's own choice."""
    if not wanted:
        return
    if not library.chooses_targets or not hasattr(module, "ComputeCapability"):
        raise RecipeError(
            f"engine.compute_capabilities: {library.name} compiles for the GPU of the machine it runs on; "
            "leave the key out"
        )
    known = known_capabilities(module)
    config.num_compute_capabilities = len(wanted)
    for index, capability in enumerate(wanted):
        member = known.get(capability)
        if member is None:
            raise RecipeError(
                f"engine.compute_capabilities[{index}]: {library.name} {module.__version__} does not know "
                f"{capability!r}; known are {', '.join(known)}"
            )
        if not config.set_compute_capability(member, index):
            raise RecipeError(f"engine.compute_capabilities[{index}]: {library.name} refuses {capability!r}")


def known_capabilities(module: Any) -> dict[str, Any]:
    """The library's members by the usual spelling: SM89 is "8.9", SM120 is "12.0"."""
    members = module.ComputeCapability.__members__
    return {f"{name[2:-1]}.{name[-1]}": member for name, member in members.items() if name.startswith("SM")}
