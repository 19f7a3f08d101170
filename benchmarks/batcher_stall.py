"""`python -m benchmarks.batcher_stall`: how often Triton's dynamic batcher sleeps, by what its queue is asked to do.

Models that take 20 ms and do nothing else are called by several at once, round after round. A round whose slowest call
took longer than `ASLEEP_S` met the sleep that ADR 14 tells of. Written to `benchmarks/results/batcher-stall.md`.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from benchmarks.machine import fingerprint
from export.publishing.pbtxt import render
from export.publishing.triton_config import (
    DynamicBatching,
    InstanceGroup,
    InstanceKind,
    ModelConfig,
    PriorityLevels,
    QueuePolicy,
)
from families.tensors import DType, TensorSpec
from triptych.triton import TritonSettings, TritonSupervisor, locate, prepare

ROUNDS = 20
CALLERS = (2, 4, 8)
ASLEEP_S = 0.4
_PAUSE_S = 0.05
_MAX_BATCH = 4
_RESULT = Path(__file__).parent / "results" / "batcher-stall.md"
_MODEL = """import time

import triton_python_backend_utils as utils


class TritonPythonModel:
    def execute(self, requests):
        time.sleep(0.02)
        given = [utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [utils.InferenceResponse([utils.Tensor("y", x)]) for x in given]
"""
_QUEUES = {
    "nothing": DynamicBatching(0, QueuePolicy()),
    "a size (`max_queue_size`)": DynamicBatching(0, QueuePolicy(max_queue_size=64)),
    "a timeout": DynamicBatching(0, QueuePolicy(default_timeout_microseconds=30_000_000)),
    "priorities": DynamicBatching(0, QueuePolicy(), priorities=PriorityLevels(3, 2)),
}


def _publish(repository: Path) -> dict[tuple[str, int], str]:
    """A model for each queue with one instance and with two; their names."""
    x, y = (TensorSpec(name, DType.FP32, (4,)) for name in "xy")
    names = {}
    for number, (queue, batching) in enumerate(_QUEUES.items()):
        for instances in (1, 2):
            name = names[queue, instances] = f"queue-{number}-{instances}"
            config = ModelConfig(
                name, _MAX_BATCH, (x,), (y,), (InstanceGroup(InstanceKind.CPU, instances),), "python", batching=batching
            )
            version = repository / name / "1"
            version.mkdir(parents=True)
            (version / "model.py").write_text(_MODEL, encoding="utf-8")
            (version.parent / "config.pbtxt").write_text(render(config), encoding="utf-8")
    return names


async def _rounds_asleep(client: InferenceServerClient, model: str, callers: int) -> int:
    """Of `ROUNDS`."""
    x = InferInput("x", [1, 4], "FP32")
    x.set_data_from_numpy(np.zeros((1, 4), np.float32))
    asleep = 0
    await client.infer(model, [x])
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await asyncio.gather(*(client.infer(model, [x]) for _ in range(callers)))
        asleep += time.perf_counter() - began > ASLEEP_S
        await asyncio.sleep(_PAUSE_S)
    return asleep


async def measure() -> list[str]:
    """Rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        names = _publish(Path(folder) / "models")
        settings = TritonSettings(model_repository=Path(folder) / "models", models=tuple(names.values()))
        async with (
            TritonSupervisor(prepare(locate()), settings, Path(folder) / "triton.log") as triton,
            InferenceServerClient(triton.endpoints.grpc) as client,
        ):
            rows = []
            for (queue, instances), name in names.items():
                asleep = [await _rounds_asleep(client, name, callers) for callers in CALLERS]
                rows.append(f"| {queue} | {instances} | " + " | ".join(map(str, asleep)) + " |")
            return rows


def main() -> None:
    """Measure, tell and keep."""
    rows = asyncio.run(measure())
    machine = fingerprint()
    head = " | ".join(f"{callers} callers" for callers in CALLERS)
    text = (
        f"{machine.cpu}, {machine.cores} cores. Rounds of {ROUNDS} in which a call took longer than {ASLEEP_S} s.\n\n"
    )
    text += f"| the queue has | instances | {head} |\n|---|---:|{'---:|' * len(CALLERS)}\n" + "\n".join(rows) + "\n"
    _RESULT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
