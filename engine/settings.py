"""What may be tuned about runtimes and the step engine. Plain values: reading files is the caller's business."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from families.batching import DETERMINISTIC_ROWS, MAX_ROWS, QUEUE_IMAGES
from families.torch_options import TorchOptions


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """How a runtime uses the machine. `device`: auto, cpu, cuda, cuda:1, mps. `threads` 0: every core we may use.

    `cuda_graphs`: engines replay the shapes that come often, for memory of up to `cuda_graph_shapes` sets of buffers.
    `lora_bytes`: memory of one component for LoRA, of which the least recently used leave; only torch takes them.
    `kernel_cache`: folder in which TensorRT-RTX keeps kernels from start to start; None: each start compiles its own.
    `torch`: of the torch runtime alone.
    """

    threads: int = 0
    device: str = "auto"
    cuda_graphs: bool = True
    cuda_graph_shapes: int = 16
    kernel_cache: Path | None = None
    lora_bytes: int = 1 << 30
    torch: TorchOptions = field(default_factory=TorchOptions)

    @property
    def thread_count(self) -> int:
        """Threads to use, always explicit: libraries' own defaults ignore CPU affinity and each other."""
        if self.threads > 0:
            return self.threads
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Policy:
    """How the planner weighs throughput against the latency of short requests.

    A request is long beside another when its whole work is `long_ratio` times as much. Long ones may join the tick of a
    shorter one only while it takes at most `stretch` times what that one would take alone. The oldest request gets at
    least `minimum_share` of the compute time, whatever else waits. Batches grow only until rows/s is within
    `throughput_slack` of the best.
    """

    long_ratio: float = 3.0
    stretch: float = 1.5
    minimum_share: float = 0.25
    throughput_slack: float = 0.05


@dataclass(frozen=True, slots=True)
class StepSettings:
    """Limits of one step engine.

    `max_rows`: hard limit of a batch at the model's default size (guidance takes two rows an image).
    `queue_images`: images the engine holds, waiting or in flight.
    `deterministic_rows`: the fixed batch of deterministic requests. The default, one guided image, suits CPUs, where a
    call's time grows with its rows; a GPU, where padding is nearly free, does better with 8.
    """

    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)
    max_rows: int = MAX_ROWS
    queue_images: int = QUEUE_IMAGES
    deterministic_rows: int = DETERMINISTIC_ROWS
    warm_up: bool = True
    policy: Policy = field(default_factory=Policy)
