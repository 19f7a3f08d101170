"""Triton's model configuration as typed values; `export.publishing.pbtxt` writes them down.

Field names are those of Triton's `model_config.proto`, times in microseconds as there.
"""

from dataclasses import dataclass
from enum import StrEnum

from export.errors import PublishError
from families.tensors import DType, TensorSpec


class InstanceKind(StrEnum):
    """Where an instance lives; AUTO takes a GPU where there is one."""

    CPU = "KIND_CPU"
    GPU = "KIND_GPU"
    AUTO = "KIND_AUTO"


@dataclass(frozen=True, slots=True)
class Resource:
    """What one execution needs of the machine; `shared` resources exist once, others once a device.

    Honoured when Triton runs with `--rate-limit=execution_count`.
    """

    name: str
    count: int
    shared: bool = False


@dataclass(frozen=True, slots=True)
class InstanceGroup:
    """`count` copies on each of `gpus`; without `gpus`, on every GPU there is (one group on a CPU)."""

    kind: InstanceKind
    count: int = 1
    gpus: tuple[int, ...] = ()
    resources: tuple[Resource, ...] = ()
    priority: int = 0
    """Of this group's executions when resources are short; 1 comes first, 0 is Triton's default."""


class TimeoutAction(StrEnum):
    """What becomes of a request that waited too long."""

    REJECT = "REJECT"
    DELAY = "DELAY"


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """Waiting requests beyond `max_queue_size` are refused (0: never).

    A request may shorten `default_timeout` by its own where `allow_timeout_override` is set. It cannot lengthen it, and
    a default of 0 (no timeout) leaves a request's own without effect.
    """

    max_queue_size: int = 0
    timeout_action: TimeoutAction = TimeoutAction.REJECT
    default_timeout_microseconds: int = 0
    allow_timeout_override: bool = False


@dataclass(frozen=True, slots=True)
class PriorityLevels:
    """Levels 1 (first) to `count`; requests that name none are of level `default`. `policies` are (level, policy)."""

    count: int
    default: int
    policies: tuple[tuple[int, QueuePolicy], ...] = ()


@dataclass(frozen=True, slots=True)
class DynamicBatching:
    """Requests wait up to `delay_microseconds` for company.

    `preferred_batch_sizes` only where the engine is faster at them: a batch of another size waits out the delay.
    """

    delay_microseconds: int
    queue: QueuePolicy
    preferred_batch_sizes: tuple[int, ...] = ()
    priorities: PriorityLevels | None = None


class WarmUpData(StrEnum):
    """Where a warm-up request's numbers come from; FILE names a file in the model's folder `warmup/`."""

    ZERO = "zero_data"
    RANDOM = "random_data"
    FILE = "input_data_file"


@dataclass(frozen=True, slots=True)
class WarmUpInput:
    """One tensor of a warm-up request; `dims` without the batch axis, all fixed. `file` only with `WarmUpData.FILE`."""

    name: str
    dtype: DType
    dims: tuple[int, ...]
    data: WarmUpData = WarmUpData.ZERO
    file: str = ""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Runs `count` times before the model is ready. `batch_size` 0 for models without a batch axis."""

    name: str
    batch_size: int
    inputs: tuple[WarmUpInput, ...]
    count: int = 1


@dataclass(frozen=True, slots=True)
class SpecificVersions:
    """Exactly these are served."""

    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LatestVersions:
    """The highest `count` are served."""

    count: int


@dataclass(frozen=True, slots=True)
class AllVersions:
    """Every version is served."""


VersionPolicy = SpecificVersions | LatestVersions | AllVersions


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model's configuration.

    Exactly one of `backend` and `platform` is set. `max_batch_size` 0 means that tensors carry every axis in `dims`;
    else Triton puts the batch axis in front. `parameters` reach Python models as strings. `engines` are pairs of
    (compute capability, file) for GPUs of several types. A request may leave out `optional_inputs`.

    Raises PublishError for what Triton would refuse or silently get wrong.
    """

    name: str
    max_batch_size: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    instances: tuple[InstanceGroup, ...]
    backend: str = ""
    platform: str = ""
    versions: VersionPolicy = SpecificVersions((1,))
    engines: tuple[tuple[str, str], ...] = ()
    batching: DynamicBatching | None = None
    decoupled: bool = False
    response_cache: bool = False
    warm_up: tuple[WarmUp, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    optional_inputs: tuple[TensorSpec, ...] = ()

    def __post_init__(self) -> None:
        """Check what belongs together."""
        if bool(self.backend) == bool(self.platform):
            raise PublishError(f"{self.name}: exactly one of backend and platform must be given")
        if self.response_cache:
            self._check_cacheable()
        if self.batching is not None:
            self._check_batching(self.batching)
        names = {spec.name for spec in self.inputs}
        for sample in self.warm_up:
            if {tensor.name for tensor in sample.inputs} != names:
                raise PublishError(f"{self.name}: warm-up {sample.name!r} must give each of {', '.join(sorted(names))}")

    def _check_cacheable(self) -> None:
        """Triton's cache hashes an input's bytes and not its shape: [2, 8] would be answered with what [8, 2] was."""
        dynamic = [spec.name for spec in self.inputs if any(isinstance(dim, str) for dim in spec.dims)]
        if dynamic:
            raise PublishError(
                f"{self.name}: a response cache needs inputs of fixed shape; dynamic are {', '.join(dynamic)}"
            )
        if self.decoupled:
            raise PublishError(f"{self.name}: a decoupled model has no response cache")

    def _check_batching(self, batching: DynamicBatching) -> None:
        if self.max_batch_size < 1:
            raise PublishError(f"{self.name}: dynamic batching needs max_batch_size of at least 1")
        beyond = [size for size in batching.preferred_batch_sizes if not 1 <= size <= self.max_batch_size]
        if beyond:
            raise PublishError(f"{self.name}: preferred batch sizes {beyond} are not within 1..{self.max_batch_size}")
        levels = batching.priorities
        if levels is not None:
            named = [levels.default, *(level for level, _ in levels.policies)]
            if any(not 1 <= level <= levels.count for level in named):
                raise PublishError(f"{self.name}: priority levels {named} are not within 1..{levels.count}")
