"""What a user may choose when models are published."""

from dataclasses import dataclass, field
from enum import StrEnum

from families.batching import DETERMINISTIC_ROWS, MAX_ROWS, QUEUE_IMAGES
from families.torch_options import TorchOptions


class Runtime(StrEnum):
    """What runs a component inside the Python backend."""

    ONNXRUNTIME = "onnxruntime"
    TORCH = "torch"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt_rtx"


class Backend(StrEnum):
    """Triton backend of the stateless components: `python` is in the pip wheel, the others in the NGC image."""

    PYTHON = "python"
    ONNXRUNTIME = "onnxruntime"
    TENSORRT = "tensorrt"


class Device(StrEnum):
    """Where Triton puts a model's instance."""

    CPU = "cpu"
    GPU = "gpu"
    AUTO = "auto"


KEEP_VERSIONS = 2
"""Of each model, the served one included: the one before stays for whoever wants to go back."""


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """How a repository is written.

    `threads` are the intra-op threads of one component, 0 for the runtime's own choice. `max_rows` bounds one batch of
    the step engine, `queue_images` the images that wait for it; `deterministic_rows` is the batch that deterministic
    requests are padded to. `native_denoiser` adds `<model>.denoiser_native`, one batched call of which is one step.
    `warm_up` lets Triton run the stateless components once at each end of their batch sizes before they are ready.
    `response_cache` is Triton's, of the text encoder. `gpus` and `instances` place each model: so many copies on each.
    `torch` is the torch runtime's.
    """

    runtime: Runtime = Runtime.ONNXRUNTIME
    backend: Backend = Backend.PYTHON
    device: Device = Device.CPU
    threads: int = 0
    max_rows: int = MAX_ROWS
    queue_images: int = QUEUE_IMAGES
    deterministic_rows: int = DETERMINISTIC_ROWS
    native_denoiser: bool = False
    warm_up: bool = False
    response_cache: bool = False
    instances: int = 1
    gpus: tuple[int, ...] = ()
    torch: TorchOptions = field(default_factory=TorchOptions)
