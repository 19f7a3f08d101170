"""`config.pbtxt` from a `ModelConfig`; the tests parse it back with Triton's own protobuf."""

from export.publishing.triton_config import (
    AllVersions,
    DynamicBatching,
    InstanceGroup,
    LatestVersions,
    ModelConfig,
    QueuePolicy,
    Resource,
    SpecificVersions,
    VersionPolicy,
    WarmUp,
    WarmUpData,
    WarmUpInput,
)
from families.tensors import DType, TensorSpec

_TYPE_NAMES = {dtype: f"TYPE_{dtype.value}" for dtype in DType} | {DType.BYTES: "TYPE_STRING"}


def render(config: ModelConfig) -> str:
    """Protobuf text of `config`, stable to the byte."""
    lines = [f"name: {_quoted(config.name)}"]
    if config.platform:
        lines.append(f"platform: {_quoted(config.platform)}")
    if config.backend:
        lines.append(f"backend: {_quoted(config.backend)}")
    # Written even when 0: left out, Triton's auto-completion may choose another number.
    lines.append(f"max_batch_size: {config.max_batch_size}")
    lines.append(f"version_policy {{ {_versions(config.versions)} }}")
    lines.extend(_tensor("input", spec) for spec in config.inputs)
    lines.extend(_tensor("input", spec, optional=True) for spec in config.optional_inputs)
    lines.extend(_tensor("output", spec) for spec in config.outputs)
    lines.append(f"instance_group [ {', '.join(_instances(group) for group in config.instances)} ]")
    lines.extend(
        f"cc_model_filenames {{ key: {_quoted(capability)} value: {_quoted(file)} }}"
        for capability, file in config.engines
    )
    if config.batching is not None:
        lines.extend(_batching(config.batching))
    if config.decoupled:
        lines.append("model_transaction_policy { decoupled: true }")
    if config.response_cache:
        lines.append("response_cache { enable: true }")
    for sample in config.warm_up:
        lines.extend(_warm_up(sample))
    lines.extend(
        f"parameters {{ key: {_quoted(key)} value {{ string_value: {_quoted(value)} }} }}"
        for key, value in config.parameters
    )
    return "\n".join(lines) + "\n"


def _versions(policy: VersionPolicy) -> str:
    match policy:
        case SpecificVersions(versions):
            return f"specific {{ versions: [ {', '.join(map(str, versions))} ] }}"
        case LatestVersions(count):
            return f"latest {{ num_versions: {count} }}"
        case AllVersions():
            return "all { }"


def _tensor(field: str, spec: TensorSpec, *, optional: bool = False) -> str:
    """A scalar per row has no dims of its own: Triton wants `[ 1 ]` reshaped to `[ ]`."""
    dims = ", ".join(str(dim) for dim in spec.triton_dims)
    reshape = "" if spec.dims else " reshape { shape: [ ] }"
    kind = _TYPE_NAMES[spec.dtype]
    left_out = " optional: true" if optional else ""
    return f"{field} {{ name: {_quoted(spec.name)} data_type: {kind} dims: [ {dims or 1} ]{reshape}{left_out} }}"


def _instances(group: InstanceGroup) -> str:
    fields = [f"count: {group.count}", f"kind: {group.kind}"]
    if group.gpus:
        fields.append(f"gpus: [ {', '.join(map(str, group.gpus))} ]")
    if group.resources or group.priority:
        limits = [f"resources [ {', '.join(_resource(resource) for resource in group.resources)} ]"]
        limits += [f"priority: {group.priority}"] if group.priority else []
        fields.append(f"rate_limiter {{ {' '.join(limits)} }}")
    return f"{{ {' '.join(fields)} }}"


def _resource(resource: Resource) -> str:
    shared = " global: true" if resource.shared else ""
    return f"{{ name: {_quoted(resource.name)}{shared} count: {resource.count} }}"


def _batching(batching: DynamicBatching) -> list[str]:
    lines = ["dynamic_batching {"]
    if batching.preferred_batch_sizes:
        lines.append(f"  preferred_batch_size: [ {', '.join(map(str, batching.preferred_batch_sizes))} ]")
    lines.append(f"  max_queue_delay_microseconds: {batching.delay_microseconds}")
    lines.append(f"  default_queue_policy {{ {_queue(batching.queue)} }}")
    levels = batching.priorities
    if levels is not None:
        lines += [f"  priority_levels: {levels.count}", f"  default_priority_level: {levels.default}"]
        lines += [
            f"  priority_queue_policy {{ key: {level} value {{ {_queue(policy)} }} }}"
            for level, policy in levels.policies
        ]
    return [*lines, "}"]


def _queue(policy: QueuePolicy) -> str:
    fields = [f"timeout_action: {policy.timeout_action}"]
    if policy.default_timeout_microseconds:
        fields.append(f"default_timeout_microseconds: {policy.default_timeout_microseconds}")
    if policy.allow_timeout_override:
        fields.append("allow_timeout_override: true")
    if policy.max_queue_size:
        fields.append(f"max_queue_size: {policy.max_queue_size}")
    return " ".join(fields)


def _warm_up(sample: WarmUp) -> list[str]:
    return [
        "model_warmup {",
        f"  name: {_quoted(sample.name)}",
        f"  batch_size: {sample.batch_size}",
        f"  count: {sample.count}",
        *(
            f"  inputs {{ key: {_quoted(tensor.name)} value {{ {_warm_up_input(tensor)} }} }}"
            for tensor in sample.inputs
        ),
        "}",
    ]


def _warm_up_input(tensor: WarmUpInput) -> str:
    value = _quoted(tensor.file) if tensor.data is WarmUpData.FILE else "true"
    dims = ", ".join(map(str, tensor.dims)) or "1"
    return f"data_type: {_TYPE_NAMES[tensor.dtype]} dims: [ {dims} ] {tensor.data}: {value}"


def _quoted(text: str) -> str:
    """A protobuf string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
