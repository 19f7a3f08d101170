"""What a user may choose when models are built and published."""

from dataclasses import dataclass
from enum import StrEnum

from families.batching import DETERMINISTIC_ROWS, MAX_ROWS, QUEUE_IMAGES


class Runtime(StrEnum):
    """What runs a component inside the Python backend."""

    ONNXRUNTIME = "onnxruntime"
    TORCH = "torch"


class Backend(StrEnum):
    """Triton backend of the stateless components: `python` is in the pip wheel, `onnxruntime` in the NGC image."""

    PYTHON = "python"
    ONNXRUNTIME = "onnxruntime"


class Device(StrEnum):
    """Where Triton puts a model's instance."""

    CPU = "cpu"
    GPU = "gpu"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """How a repository is written.

    `threads` are the intra-op threads of one component, 0 for the runtime's own choice. `max_rows` bounds one batch of
    the step engine, `queue_images` the images that wait for it; `deterministic_rows` is the batch that deterministic
    requests are padded to.
    """

    runtime: Runtime = Runtime.ONNXRUNTIME
    backend: Backend = Backend.PYTHON
    device: Device = Device.CPU
    threads: int = 0
    max_rows: int = MAX_ROWS
    queue_images: int = QUEUE_IMAGES
    deterministic_rows: int = DETERMINISTIC_ROWS
