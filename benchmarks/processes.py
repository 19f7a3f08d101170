"""Servers as processes: started in a group of their own, polled until ready, surely gone at the end."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from types import TracebackType

import httpx
import psutil

_GRACE_S = 10.0
_POLL_S = 0.02


class ServerError(Exception):
    """A server did not come up, or went away."""


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """Resident memory of one process, by its role."""

    role: str
    rss_mib: float


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class ServerProcess:
    """A command and everything it starts. Use as a context manager."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._command = list(command)
        self._log = log
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def __enter__(self) -> "ServerProcess":
        quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
        with self._log.open("wb") as log:
            self._started = perf_counter()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | quiet | self._environment,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until_ok(self, url: str, limit_s: float) -> float:
        """Poll until `url` answers 200; seconds since the process was started. Raises ServerError."""
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            while perf_counter() - self._started < limit_s:
                self._must_run()
                try:
                    if client.get(url).status_code == httpx.codes.OK:
                        return perf_counter() - self._started
                except httpx.HTTPError:
                    pass
                sleep(_POLL_S)
        raise ServerError(f"{url} was not ready within {limit_s:.0f} s\n{self._tail()}")

    def wait(self, limit_s: float) -> None:
        """Until it ends by itself. Raises ServerError if it takes longer, or fails."""
        try:
            code = self._running.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise ServerError(f"{' '.join(self._command)} was not done within {limit_s:.0f} s") from error
        if code:
            raise ServerError(f"{' '.join(self._command)} ended with {code}\n{self._tail()}")

    def memory(self) -> tuple[ProcessMemory, ...]:
        """Resident memory of every living process, the first one first."""
        found = []
        for process in self.family():
            try:
                role = "main" if process.pid == self._running.pid else _role(process.cmdline())
                found.append(ProcessMemory(role, round(process.memory_info().rss / 2**20, 1)))
            except psutil.Error:
                continue  # it ended between listing and looking
        return tuple(found)

    def stop(self) -> None:
        """Ask the group to end, then end it; children which left the group included."""
        family = self.family()
        self._signal_group(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=_GRACE_S)
        self._signal_group(signal.SIGKILL)
        for process in alive:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(alive, timeout=_GRACE_S)
        self._running.wait(timeout=_GRACE_S)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerError("the process was not started: use it as a context manager")
        return self._process

    def family(self) -> list[psutil.Process]:
        """The process and everything it started that still lives."""
        try:
            root = psutil.Process(self._running.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._running.pid, number)
        except ProcessLookupError:
            return

    def _must_run(self) -> None:
        if (code := self._running.poll()) is not None:
            raise ServerError(f"{' '.join(self._command)} ended with {code}\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])


def _role(command: Sequence[str]) -> str:
    """What a child does, read off its command line."""
    joined = " ".join(command)
    if "triton_python_backend_stub" in joined:
        script = next((Path(part) for part in command if part.endswith("model.py")), None)
        return f"stub {script.parent.parent.name}" if script is not None else "stub"
    if command and Path(command[0]).name == "tritonserver":
        return "tritonserver"
    return "worker"
