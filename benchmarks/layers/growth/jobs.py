"""What a child process is told, and how it is started."""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.layers.growth.figures import Case
from families.torch_options import TorchDType

ROOT = Path(__file__).resolve().parents[3]
_LINES = 3


class ChildFailed(Exception):  # noqa: N818 - it is an event of a run, told to whoever started it
    """A child process ended badly; the message has its last lines."""


@dataclass(frozen=True, slots=True)
class Job:
    """A model that was published in `repository` from `folder`. `pictures`: held-out ones that are taken apart; 0: only
    time and memory count.
    """

    repository: Path
    model: str
    runtime: str
    dtype: TorchDType
    folder: Path
    case: Case
    repeats: int
    pictures: int = 0


def write_job(job: Job) -> Path:
    """A new folder with the job, to which its results will come."""
    folder = Path(tempfile.mkdtemp(prefix="child-", dir=job.repository))
    (folder / "job.json").write_bytes(TypeAdapter(Job).dump_json(job))
    return folder


def run_child(job: Job) -> Path:
    """A folder with what `benchmarks.layers.growth.child` has found. Raises ChildFailed."""
    folder = write_job(job)
    command = [sys.executable, "-m", "benchmarks.layers.growth.child", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = " | ".join(done.stderr.strip().splitlines()[-_LINES:])
        raise ChildFailed(f"{job.model}, {job.case}: exit status {done.returncode}: {last}")
    return folder
