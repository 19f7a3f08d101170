"""Components on the host take turns, also across processes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.runtimes.turns import TakingTurns, Turns, taking_turns
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
