"""AMD GPUs that need to be told how to be used, before torch is loaded: the environment of ROCm's libraries.

gfx1103 (the Radeon 780M and 760M of Phoenix APUs) has no kernels of its own in PyTorch and runs those of gfx1100.
"""

import logging
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from families.torch_options import AttentionSlicing, Switch, TorchDType, TorchOptions

logger = logging.getLogger(__name__)

_NODES = Path("/sys/class/kfd/kfd/topology/nodes")
_TARGET = "gfx_target_version"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one type of GPU is used: variables of the environment, and what torch options are where nobody chose."""

    reason: str
    environment: Mapping[str, str]
    options: TorchOptions


_RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "gfx1103": Recipe(
            reason="its kernels are those of gfx1100, half precision is not reliable, and memory is the host's",
            environment=MappingProxyType(
                {
                    "HSA_OVERRIDE_GFX_VERSION": "11.0.0",
                    "PYTORCH_ROCM_ARCH": "gfx1103",
                    "TORCH_ROCM_AOTRITON_ENABLE_EXPERIMENTAL": "1",
                }
            ),
            options=TorchOptions(
                dtype=TorchDType.FLOAT32, vae_slicing=Switch.ON, attention_slicing=AttentionSlicing.AUTO
            ),
        )
    }
)


def amd_gpus(nodes: Path = _NODES) -> tuple[str, ...]:
    """Names such as gfx1103 of this machine's AMD GPUs, from what the kernel driver says; none without it."""
    found = []
    for properties in sorted(nodes.glob("*/properties")):
        try:
            lines = properties.read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            continue  # a node may be hidden from us
        values = dict(line.split(maxsplit=1) for line in lines if " " in line)
        number = int(values.get(_TARGET, "0"))
        if number:  # 0: a CPU
            major, rest = divmod(number, 10000)
            minor, step = divmod(rest, 100)
            found.append(f"gfx{major}{minor}{step:x}")
    return tuple(found)


def recipe_of(gpus: tuple[str, ...]) -> Recipe | None:
    """The recipe of the first GPU that has one."""
    return next((_RECIPES[name] for name in gpus if name in _RECIPES), None)


def prepare_environment(environment: MutableMapping[str, str], nodes: Path = _NODES) -> None:
    """Set what this machine's GPU needs, unless somebody has. Must come before torch is loaded; children inherit it."""
    gpus = amd_gpus(nodes)
    recipe = recipe_of(gpus)
    if recipe is None:
        return
    missing = {name: value for name, value in recipe.environment.items() if name not in environment}
    environment.update(missing)
    said = ", ".join(f"{name}={value}" for name, value in missing.items()) or "nothing, all was set"
    logger.info("AMD GPU %s: set %s: %s", ", ".join(gpus), said, recipe.reason)
