"""The real Triton, killed in every way."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import tritonclient.grpc.aio as grpcclient

from tests.triton.models import repository_with
from tests.triton.processes import alive, family, regions, wait_until
from triptych.triton import RestartPolicy, State, Status, TritonError, TritonRuntime, TritonStartError, TritonSupervisor

pytestmark = pytest.mark.triton

QUICK = RestartPolicy(startup_deadline_s=120, poll_s=0.2, backoff_s=0.1, unresponsive_after_s=10, unreaped_after_s=0.5)


async def add_one(client: grpcclient.InferenceServerClient, model: str = "addone") -> list[float]:
    tensor = grpcclient.InferInput("X", [1, 3], "FP32")
    tensor.set_data_from_numpy(np.array([[1, 2, 3]], np.float32))
    return list((await client.infer(model, [tensor])).as_numpy("Y")[0])


async def test_survives_every_death_and_stops_clean(runtime: TritonRuntime, tmp_path: Path, log_file: Path) -> None:
    seen: list[Status] = []
    triton = TritonSupervisor(runtime, repository_with(tmp_path / "models", "addone"), log_file, QUICK, seen.append)
    endpoints = triton.reserve()
    assert await triton.start() == endpoints
    async with grpcclient.InferenceServerClient(endpoints.grpc) as client:
        assert await add_one(client) == [2, 3, 4]

        async def back_after(signal_number: signal.Signals, pid: int) -> None:
            old = family(triton.status.pid or 0)
            memory = regions(old)
            assert memory
            os.kill(pid, signal_number)
            await wait_for_state(triton, State.RESTARTING)
            await triton.wait_ready(60)
            assert wait_until(lambda: alive(old) == [])
            assert triton.endpoints == endpoints
            assert await add_one(client) == [2, 3, 4]
            assert not any(region.exists() for region in memory)

        server = triton.status.pid
        assert server
        await back_after(signal.SIGKILL, server)
        await back_after(signal.SIGKILL, family(triton.status.pid or 0)[1].pid)  # the stub: Triton still says "ready"
        await back_after(signal.SIGSTOP, triton.status.pid or 0)  # a server that hangs
        assert triton.status.restarts == 3

        everything = family(psutil.Process(triton.status.pid).ppid())
        memory = regions(everything)
        assert await triton.stop() == 0
    assert wait_until(lambda: alive(everything) == [])
    assert not any(region.exists() for region in memory)
    states = [status.state for status in seen]
    assert states == [State.STARTING, State.READY, *[State.RESTARTING, State.READY] * 3, State.STOPPED]
    assert sorted(p.name for p in log_file.parent.iterdir()) == ["triton.log", *(f"triton.log.{n}" for n in (1, 2, 3))]


async def wait_for_state(triton: TritonSupervisor, state: State) -> None:
    async with asyncio.timeout(60):
        while triton.status.state is not state:  # noqa: ASYNC110 - looks at states that may last an instant only
            await asyncio.sleep(0.01)


async def test_a_killed_guard_leaves_nothing(runtime: TritonRuntime, tmp_path: Path, log_file: Path) -> None:
    triton = TritonSupervisor(runtime, repository_with(tmp_path / "models", "addone"), log_file, QUICK)
    await triton.start()
    old = family(psutil.Process(triton.status.pid).ppid())
    memory = regions(old)
    os.kill(old[0].pid, signal.SIGKILL)
    await wait_for_state(triton, State.RESTARTING)
    await triton.wait_ready(60)
    assert wait_until(lambda: alive(old) == [])
    assert memory
    assert not any(region.exists() for region in memory)
    await triton.stop()


async def test_a_model_that_fails_to_load(runtime: TritonRuntime, tmp_path: Path, log_file: Path) -> None:
    triton = TritonSupervisor(runtime, repository_with(tmp_path / "models", "broken"), log_file, QUICK)
    with pytest.raises(TritonStartError) as caught:
        await triton.start()
    assert "died while starting (exit code 1)" in caught.value.reason
    assert "RuntimeError: the weights are not there" in caught.value.log_tail
    assert str(log_file) in str(caught.value)
    assert triton.status.state is State.FAILED
    with pytest.raises(TritonError, match="failed"):
        await triton.wait_ready()


async def test_gives_up_after_rapid_failures(runtime: TritonRuntime, tmp_path: Path, log_file: Path) -> None:
    policy = replace(QUICK, give_up_after=2)
    triton = TritonSupervisor(runtime, repository_with(tmp_path / "models", "addone"), log_file, policy)
    await triton.start()
    (tmp_path / "models" / "addone" / "config.pbtxt").write_text("nonsense {")
    os.kill(triton.status.pid or 0, signal.SIGKILL)
    await wait_for_state(triton, State.FAILED)
    assert "gave up after 2 failures in a row" in triton.status.detail
    assert triton.status.pid is None
    await triton.stop()
    assert triton.status.state is State.FAILED


async def test_too_slow_to_start(runtime: TritonRuntime, tmp_path: Path, log_file: Path) -> None:
    settings = repository_with(tmp_path / "models", "addone")
    source = tmp_path / "models" / "addone" / "1" / "model.py"
    source.write_text("import time\ntime.sleep(60)\n" + source.read_text())
    triton = TritonSupervisor(runtime, settings, log_file, replace(QUICK, startup_deadline_s=1))
    with pytest.raises(TritonStartError, match="not ready after 1 s"):
        await triton.start()
    children = psutil.Process().children(recursive=True)
    # By the test's own folder: other tests' servers may be running beside it.
    assert wait_until(lambda: not any(str(tmp_path) in " ".join(p.cmdline()) for p in alive(children)))


async def test_a_cancelled_start_leaves_nothing(runtime: TritonRuntime, tmp_path: Path, log_file: Path) -> None:
    triton = TritonSupervisor(runtime, repository_with(tmp_path / "models", "addone"), log_file, QUICK)
    for delay_s in (0.0, 0.05, 0.15):
        start = asyncio.create_task(triton.start())
        await asyncio.sleep(delay_s)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert triton.status.state is State.STOPPED
        marker = str(tmp_path / "models")
        assert wait_until(lambda: not [p for p in psutil.process_iter(["cmdline"]) if marker in str(p.info["cmdline"])])  # noqa: B023


PARENT = """
import asyncio, sys
from pathlib import Path
from tests.triton.models import repository_with
from triptych.triton import TritonSupervisor, locate, prepare

async def main(root):
    settings = repository_with(root / "models", "addone")
    triton = TritonSupervisor(prepare(locate(), root / "cache"), settings, root / "triton.log")
    await triton.start()
    sys.stdout.write(f"{triton.status.pid}\\n")
    sys.stdout.flush()
    await asyncio.sleep(60)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_killed_parent_takes_triton_along(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    with parent:
        server = int(parent.stdout.readline())
        everything = family(psutil.Process(server).ppid())
        memory = regions(everything)
        assert memory
        parent.kill()
    assert wait_until(lambda: alive(everything) == [])
    assert not any(region.exists() for region in memory)
