"""What this process takes of its memory, told by the kernel."""

import asyncio
import gc
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import pytest

from families.manifest import Component
from gateway.adapters.inprocess.host import InProcessHost
from gateway.adapters.memory import begin_peak, is_running, own_bytes, peak_own_bytes
from gateway.domain.residency import Unit

MIB = 2**20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")

THREADS_THAT_COME_AND_GO = """
import threading
from gateway.adapters.memory import give_back, own_bytes, share_one_arena
share_one_arena()
large = bytearray(30 << 20)
del large  # from now on glibc keeps up to 60 MiB at the end of each arena
before = own_bytes()
barrier = threading.Barrier(3)
def work():
    barrier.wait()
    blocks = [bytes(90_000) for _ in range(150)]
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
give_back()
print(own_bytes() - before)
"""


def owned() -> int:
    size = own_bytes()
    assert size is not None
    return size


def alone(check: Callable[[Path], None], place: Path) -> None:
    """In a process of its own: what threads and garbage of other tests free meanwhile must not count."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        process.submit(check, place).result(timeout=120)


def peaks(tmp_path: Path) -> None:
    np.ones(48 * MIB, np.uint8)
    begin_peak()
    before = owned()
    np.ones(32 * MIB, np.uint8)
    peak = peak_own_bytes(tmp_path)
    assert peak is not None and 31 * MIB < peak - before < 44 * MIB
    assert owned() - before < 16 * MIB


def test_a_peak_that_has_gone_is_seen_and_an_earlier_one_is_not(tmp_path: Path) -> None:
    alone(peaks, tmp_path)


def pages(tmp_path: Path) -> None:
    files = []
    for name in ("weights", "library"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_bytes(bytes(16 * MIB))
        files.append(np.memmap(tmp_path / name / "data", mode="r"))
    begin_peak()
    before = owned()
    for mapped in files:
        assert not mapped.any()
    peak = peak_own_bytes(tmp_path / "weights")
    assert peak is not None and 15 * MIB < peak - before < 24 * MIB
    assert owned() - before < 8 * MIB


def test_pages_of_weights_count_and_other_files_do_not(tmp_path: Path) -> None:
    alone(pages, tmp_path)


def test_a_process_that_has_ended_takes_nothing() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        assert is_running(process.pid) and own_bytes(process.pid)
        process.kill()
    assert not is_running(process.pid) and own_bytes(process.pid) is None


def test_memory_of_threads_comes_back() -> None:
    command = [sys.executable, "-c", THREADS_THAT_COME_AND_GO]
    left = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert left < 2 * MIB, "with an arena for each thread it is 4 MiB"


@dataclass
class FakeModel:
    """Takes memory as a component would."""

    place: Path
    held: list[Any] = field(default_factory=list)

    def folder(self, component: Component) -> Path:
        return self.place

    def file_bytes(self, component: Component) -> int:
        return 1000

    def open(self, component: Component) -> None:
        self.held.append(np.ones(16 * MIB, np.uint8))

    def call(self) -> None:
        np.ones(32 * MIB, np.uint8)

    def close(self, component: Component) -> None:
        self.held.clear()


class Circle:
    """Refers to itself: freed when the collector comes by, not before."""

    def __init__(self, size: int) -> None:
        self.itself = self
        self.held = np.ones(size, np.uint8)


async def component(tmp_path: Path) -> None:
    Circle(64 * MIB)
    unit = Unit("m", Component.VAE_DECODER)
    model = FakeModel(tmp_path)
    host = InProcessHost(lambda: MappingProxyType({"m": cast(Any, model)}))
    await host.load(unit)
    gc.collect()
    await asyncio.to_thread(model.call)
    assert await host.measure(unit, alone=False) is None, "others may have been at work"
    size = await host.measure(unit, alone=True)
    assert size is not None and 47 * MIB < size < 60 * MIB
    loaded = owned()
    await host.unload(unit)
    assert owned() < loaded - 15 * MIB


def component_alone(tmp_path: Path) -> None:
    asyncio.run(component(tmp_path))


def test_a_component_takes_its_weights_and_its_largest_call(tmp_path: Path) -> None:
    alone(component_alone, tmp_path)
