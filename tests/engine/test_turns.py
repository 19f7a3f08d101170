"""Components on the host take turns, also across processes."""

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from engine.runtimes.rows_apart import RowsApart
from engine.runtimes.turns import SharingTurns, TakingTurns, Turns, taking_turns
from families.tensors import Array
from tests.engine.toy import ToyRuntime

HOLD = """
import sys, time
from pathlib import Path
from engine.runtimes.turns import Turns
with Turns(Path(sys.argv[1])).turn():
    print("holding", flush=True)
    time.sleep(60)
"""


def test_a_turn_waits_for_another_process_and_outlives_its_death(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "holding\n"
        began = time.monotonic()
        killer = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {holder.pid}"])
        with Turns(tmp_path).turn():
            waited = time.monotonic() - began
        killer.wait()
    assert 0.2 < waited < 10


@pytest.mark.parametrize(("threads", "takes_turns"), [(1, False), (4096, True)])
def test_only_who_wants_every_core_takes_turns(
    tmp_path: Path, threads: int, takes_turns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    folder = tmp_path / "model.denoiser" / "1"
    folder.mkdir(parents=True)
    assert isinstance(taking_turns(ToyRuntime(), folder, threads), TakingTurns) is takes_turns


def test_who_can_share_takes_one_core_in_company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    folder = tmp_path / "model.vae_decoder" / "1"
    folder.mkdir(parents=True)
    whole, single = CountingToy(), CountingToy()
    runtime = taking_turns(RowsApart(whole, single, 2), folder, threads=2)
    assert isinstance(runtime, SharingTurns)
    one, three = np.ones((1, 2), np.float32), np.ones((3, 2), np.float32)
    runtime.run_arrays([one])
    assert (whole.calls, single.calls) == (1, 0)  # alone: every core
    with Turns(tmp_path).one_core():
        runtime.run_arrays([one])
        assert (whole.calls, single.calls) == (1, 1)  # in company: one, at once
    held, released = threading.Event(), threading.Event()

    def hold() -> None:
        with Turns(tmp_path).one_core():
            held.set()
            released.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    caller = threading.Thread(target=runtime.run_arrays, args=([three],))
    caller.start()
    time.sleep(0.1)
    assert (whole.calls, single.calls) == (1, 1)  # does not divide among two: waits for every core
    released.set()
    caller.join(30)
    holder.join(30)
    assert (whole.calls, single.calls) == (2, 1)


class CountingToy(ToyRuntime):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        self.calls += 1
        return tuple(inputs)
