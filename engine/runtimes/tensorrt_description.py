"""What an engine was built for: `engine.json` beside `model.plan`. The engine itself says none of it without a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from engine.errors import RuntimeUnavailableError

DESCRIPTION_FILE = "engine.json"


@dataclass(frozen=True, slots=True)
class EngineTensor:
    """An input or output: `dtype` by the library's name (FLOAT, HALF, INT64, ...), -1 for every dynamic axis."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShapeLimits:
    """Shapes of one input in one profile, batch axis first."""

    name: str
    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """`library` and `version` must be those of the runtime that loads it.

    `compute_capabilities` are the GPUs it was asked for ("8.9"); none: those the library chooses by itself. `gpu` is
    the machine's on which it was built. `profiles` hold the inputs' limits in the inputs' order; `layers` counts the
    network before optimisation, `plan_bytes` the file.
    """

    library: str
    version: str
    gpu: str
    compute_capabilities: tuple[str, ...]
    inputs: tuple[EngineTensor, ...]
    outputs: tuple[EngineTensor, ...]
    profiles: tuple[tuple[ShapeLimits, ...], ...]
    layers: int
    plan_bytes: int


_DESCRIPTION = TypeAdapter(EngineDescription)


def write_description(description: EngineDescription, folder: Path) -> None:
    """Write `engine.json` into the folder."""
    (folder / DESCRIPTION_FILE).write_bytes(_DESCRIPTION.dump_json(description, indent=2) + b"\n")


def read_description(folder: Path) -> EngineDescription:
    """The inverse of `write_description`. Raises RuntimeUnavailableError naming a file that is missing or broken."""
    path = folder / DESCRIPTION_FILE
    try:
        return _DESCRIPTION.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RuntimeUnavailableError(f"{path} cannot be used: {error}") from error
