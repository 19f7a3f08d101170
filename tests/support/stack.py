"""Starts `triptych serve` as a user would, in a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from triptych.run_state import RunState, read_state

PROJECT = Path(__file__).parents[2]
BUILT = PROJECT / "runtime"
"""Where the demo and `make serve` build too: the models are compiled once a checkout."""


@dataclass(frozen=True)
class RunningStack:
    """A stack that answered ready once."""

    url: str
    process: subprocess.Popen[bytes]
    runtime_directory: Path
    log: Path

    def state(self) -> RunState:
        """Where its parts are now."""
        return read_state(self.runtime_directory)

    def get(self, path: str) -> int:
        """Status of a GET; 0 when nothing answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait_ready(self, seconds: float = 60) -> None:
        """Until `/readyz` says so."""
        deadline = time.monotonic() + seconds
        while self.get("/readyz") != 200:
            assert self.process.poll() is None, f"the stack died:\n{self.log_tail()}"
            assert time.monotonic() < deadline, f"not ready in {seconds} s:\n{self.log_tail()}"
            time.sleep(0.1)

    def log_tail(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@cache
def build_models() -> None:
    """Compile and publish the embedded models where that was not done yet; a session asks once."""
    command = [sys.executable, "-m", "triptych", "export", "publish", "--runtime-dir", str(BUILT)]
    subprocess.run(command, check=True, cwd=PROJECT, timeout=1200)


@contextmanager
def start_stack(
    folder: Path,
    *,
    backend: str = "triton",
    environment: Mapping[str, str] | None = None,
    within: Sequence[str] = (),
    embedded: bool = True,
    ready_seconds: float = 300,
) -> Iterator[RunningStack]:
    """A stack in `folder`, which takes the compiled artefacts of the checkout and publishes them for itself.

    `within` is a command that becomes the one that follows it, such as `env`. Without `embedded` nothing was compiled:
    the environment names other models, which need nothing compiled or are compiled by the stack itself.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if embedded:
        build_models()
    if embedded and not (folder / "artefacts").exists():
        shutil.copytree(BUILT / "artefacts", folder / "artefacts")
    log = folder / "serve.log"
    command = [*within, sys.executable, "-m", "triptych", "serve", "--port", "0", "--backend", backend]
    command += ["--runtime-directory", str(folder)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=PROJECT, env={**os.environ, **(environment or {})}
        )
    try:
        running = RunningStack(_url(folder, process, log), process, folder, log)
        running.wait_ready(ready_seconds)
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    # Whatever the tests did to it, cancels and all: nothing may be left that keeps Triton from ending by itself.
    assert "stopped with exit code" not in log.read_text(errors="replace"), "Triton had to be cut off"


def _url(folder: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 60
    while True:
        try:
            state = read_state(folder)
        except FileNotFoundError:
            state = None
        if state is not None and state.gateway_pid == process.pid:
            return state.gateway_url
        assert process.poll() is None, f"the stack died:\n{log.read_text(errors='replace')[-3000:]}"
        assert time.monotonic() < deadline, "no gateway after 60 s"
        time.sleep(0.05)
