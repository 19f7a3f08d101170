"""An ONNX file opened for the checks, on the CPU, in as little memory as it takes."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnxruntime as ort

from export.graph.widen import is_bfloat16, widened


@contextmanager
def opened(path: Path, threads: int) -> Iterator[ort.InferenceSession]:
    """A session. A graph in bf16 is opened as its float32 twin: the CPU provider has no kernels for bf16."""
    skeleton = onnx.load(str(path), load_external_data=False)
    if not is_bfloat16(skeleton):
        yield _session(path, threads)
        return
    with tempfile.TemporaryDirectory(prefix="triptych-") as folder:
        twin = Path(folder) / path.name
        onnx.save(widened(onnx.load(str(path))), str(twin), save_as_external_data=True, location=f"{path.name}.data")
        yield _session(twin, threads)


def _session(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Packed copies of the weights are for speed over many runs; here each graph runs a few times.
    options.add_session_config_entry("session.disable_prepacking", "1")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
