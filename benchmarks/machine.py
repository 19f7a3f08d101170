"""What the figures were measured on."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_PACKAGES = (
    "torch",
    "diffusers",
    "transformers",
    "onnxruntime",
    "nvidia-pytriton",
    "tritonclient",
    "litserve",
    "numpy",
)
_TELLING_FLAGS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
)


@dataclass(frozen=True, slots=True)
class Package:
    """An installed distribution."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Machine:
    """A fingerprint of hardware and software. `flags` are the CPU features that decide inference speed."""

    cpu: str
    cores: int
    flags: tuple[str, ...]
    memory_gib: float
    load_before: float
    system: str
    kernel: str
    python: str
    packages: tuple[Package, ...]
    accelerators: tuple[str, ...]

    @property
    def slug(self) -> str:
        """For file names: CPU model and cores, in lower case, joined by dashes."""
        words = "".join(letter if letter.isalnum() else " " for letter in self.cpu.lower()).split()
        noise = {"r", "tm", "cpu", "processor"}
        return "-".join([word for word in words if word not in noise] + [f"{self.cores}core"])


def fingerprint() -> Machine:
    """Describe this machine and the packages installed in this environment."""
    cpu, flags = _cpu()
    return Machine(
        cpu=cpu,
        cores=usable_cores(),
        flags=tuple(flag for flag in _TELLING_FLAGS if flag in flags),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        load_before=round(psutil.getloadavg()[0], 2),
        system=platform.system(),
        kernel=platform.release(),
        python=platform.python_version(),
        packages=tuple(Package(name, found) for name in _PACKAGES if (found := _installed(name)) is not None),
        accelerators=_accelerators(),
    )


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> tuple[str, frozenset[str]]:
    """Model name and feature flags; without /proc/cpuinfo what the platform says, and no flags."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or platform.machine(), frozenset()
    fields: dict[str, str] = {}
    for line in info.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return fields.get("model name", platform.machine()), frozenset(
        fields.get("flags", fields.get("Features", "")).split()
    )


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _accelerators() -> tuple[str, ...]:
    import torch  # noqa: PLC0415  # takes seconds: only where it is needed

    if not torch.cuda.is_available():
        return ()
    return tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
