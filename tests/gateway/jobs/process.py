"""A gateway over the fake engine in a process of its own, to be killed: `python -m tests.gateway.jobs.process FOLDER
SECONDS_A_STEP`. Its first line of output is its address.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.gateway.fake_backend import FakeBackend
from tests.gateway.server import serve

ROOT = Path(__file__).parents[3]


@contextmanager
def gateway_process(folder: Path, step_seconds: float) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address; killed when the block ends."""
    command = [sys.executable, "-m", __name__, str(folder), str(step_seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def main() -> None:
    limits = {"jobs.max_active": 1, "jobs.lease_seconds": 2}
    with serve(Path(sys.argv[1]), limits, FakeBackend(step_seconds=float(sys.argv[2]))) as gateway:
        print(gateway.url, flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()
