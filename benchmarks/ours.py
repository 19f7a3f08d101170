"""What the benchmark must know of Triptych itself: publishing before the first visit, and where it tells of itself."""

import subprocess
import sys
from pathlib import Path

from benchmarks.processes import ServerError
from benchmarks.workload import Workload
from triptych.run_state import read_state

_PUBLISH_LIMIT_S = 600


def publish(workload: Workload) -> None:
    """Compile and publish the model once, as `triptych serve` would in its first minutes. Raises ServerError."""
    command = [sys.executable, "-m", "triptych", "export", "publish", "--runtime-dir", str(workload.runtime_directory)]
    command += ["--models-dir", str(workload.model_folder.parent), "--runtime", "onnxruntime"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PUBLISH_LIMIT_S)
    if done.returncode:
        raise ServerError(f"publishing ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def metrics_pages(base_url: str, runtime_directory: Path) -> tuple[str, ...]:
    """Where a running stack's step engine may count: the gateway's own page, and Triton's where there is one."""
    own = f"{base_url}/metrics"
    try:
        triton = read_state(runtime_directory).triton_metrics_url
    except (FileNotFoundError, ValueError, TypeError):
        return (own,)
    return (own,) if triton is None else (triton, own)
