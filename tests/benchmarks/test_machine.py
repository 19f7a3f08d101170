"""The fingerprint."""

import re

from benchmarks.machine import fingerprint, usable_cores


def test_fingerprint_says_what_decides_speed() -> None:
    machine = fingerprint()
    assert machine.cpu
    assert machine.cores == usable_cores() >= 1
    assert machine.memory_gib > 0
    assert machine.kernel and machine.python
    versions = {package.name: package.version for package in machine.packages}
    assert {"torch", "diffusers", "onnxruntime", "nvidia-pytriton"} <= set(versions)
    assert re.fullmatch(r"[a-z0-9-]+", machine.slug)
    assert machine.slug.endswith(f"{machine.cores}core")
