"""Small Python-backend models, written into a repository folder."""

from __future__ import annotations

from pathlib import Path

from triptych.triton import TritonSettings

ADDONE_CONFIG = """
name: "%s"
backend: "python"
max_batch_size: 8
input [{name: "X" data_type: TYPE_FP32 dims: [-1]}]
output [{name: "Y" data_type: TYPE_FP32 dims: [-1]}]
instance_group [{kind: KIND_CPU count: 1}]
"""

ADDONE = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        inputs = [pb_utils.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", x + 1)]) for x in inputs]
"""

STEPPER_CONFIG = """
name: "stepper"
backend: "python"
max_batch_size: 0
input [{name: "STEPS" data_type: TYPE_INT32 dims: [1]}]
output [
  {name: "STEP" data_type: TYPE_INT32 dims: [1]},
  {name: "RESULT" data_type: TYPE_FP32 dims: [-1]},
  {name: "REQUEST" data_type: TYPE_STRING dims: [1]}
]
model_transaction_policy {decoupled: true}
instance_group [{kind: KIND_CPU count: 1}]
"""

# One loop thread owns the senders and the metrics: Triton 2.51 dies (SIGSEGV) when two threads use one Metric at once.
# An error goes out together with the final flag: sent apart, on a stream that asked for typed errors, the flag alone
# hits a stream that is already gone, and kills the server too.
STEPPER = """
import json
import queue
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
        kinds = pb_utils.MetricFamily
        self.families = [  # a family that is not kept alive takes its metrics with it
            kinds(name="stepper_active", description="Requests in flight", kind=kinds.GAUGE),
            kinds(name="stepper_cancelled_total", description="Cancelled requests", kind=kinds.COUNTER),
            kinds(name="stepper_step_seconds", description="Seconds of a step", kind=kinds.HISTOGRAM),
        ]
        self.active = self.families[0].Metric(labels={"model": "stepper"})
        self.cancelled = self.families[1].Metric(labels={"model": "stepper"})
        self.seconds = self.families[2].Metric(labels={"model": "stepper"}, buckets=[0.001, 0.01, 0.1])
        self.waiting = queue.Queue()
        self.stopping = threading.Event()
        self.loop = threading.Thread(target=self.run, daemon=True)
        self.loop.start()

    def execute(self, requests):
        for request in requests:
            steps = int(pb_utils.get_input_tensor_by_name(request, "STEPS").as_numpy()[0])
            facts = {
                "id": request.request_id(),
                "parameters": json.loads(request.parameters()),
                "timeout": request.timeout(),
                "outputs": sorted(request.requested_output_names()),
                "priority": hasattr(request, "priority"),
            }
            self.waiting.put([request.get_response_sender(), facts, 0, steps])
        return None

    def run(self):
        rows = []
        while not self.stopping.is_set() or rows:
            while True:
                try:
                    rows.append(self.waiting.get_nowait() if rows else self.waiting.get(timeout=0.05))
                except queue.Empty:
                    break
            if rows:
                time.sleep(0.01)
                self.seconds.observe(0.01)
            rows = [row for row in rows if self.step(row)]
            self.active.set(len(rows))

    def step(self, row):
        sender, facts, done, steps = row
        if sender.is_cancelled():
            self.cancelled.increment(1)
            sender.send(flags=self.final)
            return False
        if steps < 0:  # -1 UNAVAILABLE, -2 INVALID_ARG
            code = pb_utils.TritonError.UNAVAILABLE if steps == -1 else pb_utils.TritonError.INVALID_ARG
            error = pb_utils.TritonError("the queue is full" if steps == -1 else "bad request", code)
            sender.send(pb_utils.InferenceResponse(error=error), flags=self.final)
            return False
        if done < steps:
            sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("STEP", np.array([done], np.int32))]))
            row[2] += 1
            return True
        outputs = [
            pb_utils.Tensor("RESULT", np.arange(3, dtype=np.float32)),
            pb_utils.Tensor("REQUEST", np.array([json.dumps(facts).encode()], dtype=object)),
        ]
        sender.send(pb_utils.InferenceResponse(outputs), flags=self.final)
        return False

    def finalize(self):
        self.stopping.set()
        self.loop.join()
"""

BROKEN = """
raise RuntimeError("the weights are not there")
"""


def write_model(repository: Path, name: str, config: str, source: str) -> None:
    folder = repository / name / "1"
    folder.mkdir(parents=True)
    (folder.parent / "config.pbtxt").write_text(config)
    (folder / "model.py").write_text(source)


def repository_with(root: Path, *names: str) -> TritonSettings:
    """A repository of these models and the settings to serve it."""
    for name in names:
        if name == "stepper":
            write_model(root, name, STEPPER_CONFIG, STEPPER)
        else:
            write_model(root, name, ADDONE_CONFIG % name, BROKEN if name == "broken" else ADDONE)
    return TritonSettings(model_repository=root, models=names, exit_timeout_s=5)
