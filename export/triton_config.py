"""Triton's `config.pbtxt` from typed values; the tests parse it back with Triton's own protobuf."""

from dataclasses import dataclass
from enum import StrEnum

from families.tensors import DType, TensorSpec

_TYPE_NAMES = {dtype: f"TYPE_{dtype.value}" for dtype in DType} | {DType.BYTES: "TYPE_STRING"}


class InstanceKind(StrEnum):
    """Where an instance lives; AUTO takes a GPU where there is one."""

    CPU = "KIND_CPU"
    GPU = "KIND_GPU"
    AUTO = "KIND_AUTO"


@dataclass(frozen=True, slots=True)
class DynamicBatching:
    """Requests wait up to `delay_microseconds` for company; beyond `queue_size` waiting ones the next is refused."""

    delay_microseconds: int
    queue_size: int


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model's configuration.

    Exactly one of `backend` and `platform` is set. `max_batch_size` 0 means that tensors carry every axis in `dims`;
    else Triton puts the batch axis in front. `parameters` reach Python models as strings.
    """

    name: str
    max_batch_size: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    instance: InstanceKind
    backend: str = ""
    platform: str = ""
    batching: DynamicBatching | None = None
    decoupled: bool = False
    version: int = 1
    parameters: tuple[tuple[str, str], ...] = ()


def render(config: ModelConfig) -> str:
    """Protobuf text of `config`, stable to the byte."""
    lines = [f"name: {_quoted(config.name)}"]
    if config.platform:
        lines.append(f"platform: {_quoted(config.platform)}")
    if config.backend:
        lines.append(f"backend: {_quoted(config.backend)}")
    # Written even when 0: left out, Triton's auto-completion may choose another number.
    lines.append(f"max_batch_size: {config.max_batch_size}")
    lines.append(f"version_policy {{ specific {{ versions: [ {config.version} ] }} }}")
    lines.extend(_tensor("input", spec) for spec in config.inputs)
    lines.extend(_tensor("output", spec) for spec in config.outputs)
    lines.append(f"instance_group [ {{ count: 1 kind: {config.instance} }} ]")
    if config.batching is not None:
        lines.extend(_batching(config.batching))
    if config.decoupled:
        lines.append("model_transaction_policy { decoupled: true }")
    lines.extend(
        f"parameters {{ key: {_quoted(key)} value {{ string_value: {_quoted(value)} }} }}"
        for key, value in config.parameters
    )
    return "\n".join(lines) + "\n"


def _tensor(field: str, spec: TensorSpec) -> str:
    """A scalar per row has no dims of its own: Triton wants `[ 1 ]` reshaped to `[ ]`."""
    dims = ", ".join(str(dim) for dim in spec.triton_dims)
    reshape = "" if spec.dims else " reshape { shape: [ ] }"
    kind = _TYPE_NAMES[spec.dtype]
    return f"{field} {{ name: {_quoted(spec.name)} data_type: {kind} dims: [ {dims or 1} ]{reshape} }}"


def _batching(batching: DynamicBatching) -> list[str]:
    return [
        "dynamic_batching {",
        f"  max_queue_delay_microseconds: {batching.delay_microseconds}",
        f"  default_queue_policy {{ timeout_action: REJECT max_queue_size: {batching.queue_size} }}",
        "}",
    ]


def _quoted(text: str) -> str:
    """A protobuf string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
