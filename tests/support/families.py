"""A small random model of every family in one folder, and what its users may ask of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.tiny_flux2 import write_tiny_flux2
from tests.support.tiny_qwen_image import write_tiny_qwen_image
from tests.support.tiny_sd3 import write_tiny_sd3
from tests.support.tiny_sd15 import write_tiny_sd15
from tests.support.tiny_sdxl import write_tiny_sdxl

_DIFFUSION = ("euler", "ddim", "heun", "dpm++_2m_karras", "dpm++_sde_karras")


@dataclass(frozen=True)
class Family:
    """One small model. `references`: how many pictures an edit may bring; 0 where an edit begins from its picture."""

    name: str
    write: Callable[[Path], Path]
    sizes: tuple[str, ...]
    guidances: tuple[float, ...]
    schedulers: tuple[str | None, ...] = (None,)
    references: int = 0


FAMILIES = (
    Family("tiny-sd15", write_tiny_sd15, ("64x64", "72x88", "104x64"), (1.0, 5.0), _DIFFUSION),
    Family("tiny-sdxl", write_tiny_sdxl, ("64x64", "72x64", "64x104"), (1.0, 4.0), _DIFFUSION),
    Family("tiny-sd3", write_tiny_sd3, ("64x64", "80x64"), (1.0, 4.5)),
    Family("tiny-flux2", write_tiny_flux2, ("64x64", "80x64", "64x96"), (1.0,), references=2),
    Family("tiny-qwen-image", write_tiny_qwen_image, ("64x64", "80x64", "64x96"), (1.0, 4.0)),
)


def write_families(folder: Path) -> Path:
    """A folder that holds one of each."""
    for family in FAMILIES:
        family.write(folder / family.name)
    return folder
