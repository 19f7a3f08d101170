"""What this server runs on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. `compute_capability` is as NVIDIA writes it, e.g. 8.9."""

    name: str
    memory_bytes: int
    compute_capability: str
    driver: str


@dataclass(frozen=True, slots=True)
class Library:
    """An installed distribution."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Machine:
    """Hardware and software. `cpus` are those this process may use; `memory_bytes` is None where unknown."""

    triptych: str
    python: str
    platform: str
    cpus: int
    memory_bytes: int | None
    gpus: tuple[Gpu, ...]
    libraries: tuple[Library, ...]
