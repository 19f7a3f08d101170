"""One launch of Triton: start it under the guard, learn its pid and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from triptych.triton import guard, logs
from triptych.triton.command import Ports, TritonSettings, build_argv, build_environment
from triptych.triton.runtime import TritonRuntime

GUARD = Path(guard.__file__)
GRACE_MARGIN_S = 10.0
"""What Triton gets beyond its own exit timeout, for unloading models."""
KILL_TIMEOUT_S = 5.0


@dataclass
class TritonProcess:
    """A running Triton and its guard."""

    pid: int
    shm_prefix: str
    grace_s: float
    _guard: asyncio.subprocess.Process
    _end: asyncio.Task[int]

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._end.done()

    async def wait(self) -> int:
        """Wait for the end; Triton's return code, negative when a signal ended it."""
        return await asyncio.shield(self._end)

    async def stop(self) -> int:
        """Let requests in flight finish, then end; kill what does not end in time."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self.wait(), self.grace_s + KILL_TIMEOUT_S)
        return await self.kill()

    async def kill(self) -> int:
        """End at once."""
        self._signal(signal.SIGQUIT)
        try:
            return await asyncio.wait_for(self.wait(), KILL_TIMEOUT_S)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            return await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._guard.send_signal(number)


async def launch(runtime: TritonRuntime, settings: TritonSettings, ports: Ports, log_file: Path) -> TritonProcess:
    """Start Triton, its output in a new log file. Returns once the process exists, long before it is ready."""
    # A name per launch: what this one leaves in /dev/shm can then be removed without touching another Triton's.
    shm_prefix = f"triptych-{uuid.uuid4().hex[:12]}-"
    argv = build_argv(runtime, settings, ports, shm_prefix)
    grace_s = settings.exit_timeout_s + GRACE_MARGIN_S
    log = logs.open_rotated(log_file)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", str(GUARD), str(os.getpid()), str(grace_s), shm_prefix),
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=build_environment(runtime, settings),
            # A session of its own: a Ctrl-C in the terminal must reach the supervisor only, which then drains.
            start_new_session=True,
        )
    finally:
        os.close(log)
    if process.stdout is None:  # pragma: no cover - we asked for a pipe
        raise RuntimeError("the guard has no stdout")
    try:
        first = (await process.stdout.readline()).split()
    except asyncio.CancelledError:
        process.send_signal(signal.SIGQUIT)
        raise
    pid = int(first[1]) if len(first) > 1 and first[0] == b"pid" else 0
    end = asyncio.create_task(_follow(process, process.stdout, pid, shm_prefix))
    return TritonProcess(pid, shm_prefix, grace_s, process, end)


async def _follow(process: asyncio.subprocess.Process, reports: asyncio.StreamReader, pid: int, shm_prefix: str) -> int:
    """Read the guard's reports to the end, and clean up in its place if it was killed."""
    code: int | None = None
    async for line in reports:
        words = line.split()
        if len(words) > 1 and words[0] == b"exit":
            code = int(words[1])
    guard_code = await process.wait()
    if code is None:
        guard.sweep(pid or None, shm_prefix)
        return guard_code
    return code
