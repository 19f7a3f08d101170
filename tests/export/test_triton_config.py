"""Generated configurations as Triton's own protobuf reads them."""

from dataclasses import replace

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from export.errors import PublishError
from export.publishing.options import Backend, Device, PublishOptions, Runtime
from export.publishing.pbtxt import render
from export.publishing.served_models import Entry, model_config
from export.publishing.triton_config import (
    AllVersions,
    DynamicBatching,
    InstanceGroup,
    InstanceKind,
    LatestVersions,
    ModelConfig,
    PriorityLevels,
    QueuePolicy,
    Resource,
    SpecificVersions,
    VersionPolicy,
    WarmUp,
    WarmUpData,
    WarmUpInput,
)
from families import denoise_wire
from families.batching import DETERMINISTIC_ROWS, MAX_BATCH
from families.catalog import ModelSource
from families.manifest import Component
from families.tensors import DType, TensorSpec

PLATFORMS = {Backend.ONNXRUNTIME: "onnxruntime_onnx", Backend.TENSORRT: "tensorrt_plan"}


def _parsed(source: ModelSource, component: Component, options: PublishOptions) -> model_config_pb2.ModelConfig:
    text = render(model_config(source.manifest, Entry(component), options))
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@pytest.mark.parametrize("component", [Component.TEXT_ENCODER, Component.VAE_DECODER])
@pytest.mark.parametrize("backend", list(Backend))
def test_components_batch_natively(component: Component, backend: Backend, source: ModelSource) -> None:
    config = _parsed(source, component, PublishOptions(backend=backend))
    signature = source.manifest.signature(component)
    assert config.name == f"tiny.{component.value}"
    assert config.max_batch_size == MAX_BATCH[component]
    optional = denoise_wire.OPTIONAL_INPUTS[-2:] if backend is Backend.PYTHON else ()
    takes_lora = optional if component is Component.TEXT_ENCODER else ()
    assert [entry.name for entry in config.input] == [spec.name for spec in (*signature.inputs, *takes_lora)]
    assert [entry.optional for entry in config.input] == [False] * len(signature.inputs) + [True] * len(takes_lora)
    assert [tuple(entry.dims) for entry in config.output] == [spec.triton_dims for spec in signature.outputs]
    assert config.HasField("dynamic_batching")
    # Any limit, timeout or priority makes Triton's batcher sleep now and then (ADR 14).
    assert config.dynamic_batching.default_queue_policy == model_config_pb2.ModelQueuePolicy()
    assert not config.dynamic_batching.priority_levels
    assert not config.model_transaction_policy.decoupled
    assert (config.backend, config.platform) == (
        ("python", "") if backend is Backend.PYTHON else ("", PLATFORMS[backend])
    )


@pytest.mark.parametrize("backend", list(Backend))
def test_denoiser_is_the_decoupled_step_engine(backend: Backend, source: ModelSource) -> None:
    options = PublishOptions(runtime=Runtime.TORCH, backend=backend, threads=3, max_rows=5, queue_images=7)
    config = _parsed(source, Component.DENOISER, options)
    assert config.backend == "python"
    assert config.model_transaction_policy.decoupled
    assert not config.HasField("dynamic_batching")
    names = [entry.name for entry in config.input]
    assert names == [
        *(spec.name for spec in denoise_wire.CONTROL_INPUTS),
        *(spec.name for spec in source.manifest.given),
        *(spec.name for spec in denoise_wire.OPTIONAL_INPUTS),
    ]
    context = config.input[len(denoise_wire.CONTROL_INPUTS)]
    assert tuple(context.dims) == (-1, *source.manifest.denoiser.inputs[2].triton_dims)
    assert [entry.name for entry in config.output] == [spec.name for spec in denoise_wire.OUTPUTS]
    assert {key: value.string_value for key, value in config.parameters.items()} == {
        "runtime": "torch",
        "threads": "3",
        "max_rows": "5",
        "queue_images": "7",
        "deterministic_rows": str(DETERMINISTIC_ROWS),
    }


def test_zero_batch_size_is_written(source: ModelSource) -> None:
    text = render(model_config(source.manifest, Entry(Component.DENOISER), PublishOptions()))
    assert "max_batch_size: 0\n" in text


@pytest.mark.parametrize(
    ("device", "kind"), [(Device.CPU, "KIND_CPU"), (Device.GPU, "KIND_GPU"), (Device.AUTO, "KIND_AUTO")]
)
def test_device_chooses_the_instance(device: Device, kind: str, source: ModelSource) -> None:
    config = _parsed(source, Component.TEXT_ENCODER, PublishOptions(device=device))
    assert model_config_pb2.ModelInstanceGroup.Kind.Name(config.instance_group[0].kind) == kind


def test_strings_are_escaped_and_scalars_reshaped(source: ModelSource) -> None:
    config = ModelConfig(
        name='a"b\\c',
        max_batch_size=2,
        inputs=(source.manifest.denoiser.inputs[1],),  # timestep: one number a row
        outputs=(),
        instances=(InstanceGroup(InstanceKind.CPU),),
        backend="python",
        parameters=(("key", "two\nlines"),),
    )
    parsed = text_format.Parse(render(config), model_config_pb2.ModelConfig())
    assert parsed.name == 'a"b\\c'
    assert parsed.parameters["key"].string_value == "two\nlines"
    assert list(parsed.input[0].dims) == [1]
    assert parsed.input[0].HasField("reshape") and list(parsed.input[0].reshape.shape) == []


def _config(**changes: object) -> ModelConfig:
    base = ModelConfig(
        name="m",
        max_batch_size=8,
        inputs=(TensorSpec("ids", DType.INT64, (4,)),),
        outputs=(),
        instances=(InstanceGroup(InstanceKind.CPU),),
        backend="python",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def _parse(config: ModelConfig) -> model_config_pb2.ModelConfig:
    return text_format.Parse(render(config), model_config_pb2.ModelConfig())


@pytest.mark.parametrize("backend", list(Backend))
def test_the_native_denoiser_has_priorities_timeouts_and_a_bounded_queue(backend: Backend, source: ModelSource) -> None:
    options = PublishOptions(backend=backend, max_rows=12, native_denoiser=True)
    entry = Entry(Component.DENOISER, native=True)
    config = text_format.Parse(render(model_config(source.manifest, entry, options)), model_config_pb2.ModelConfig())
    assert (config.name, config.max_batch_size) == ("tiny.denoiser_native", 12)
    assert [item.name for item in config.input] == [spec.name for spec in source.manifest.denoiser.inputs]
    assert not config.model_transaction_policy.decoupled
    batching = config.dynamic_batching
    assert list(batching.preferred_batch_size) == ([2, 4, 8] if backend is Backend.TENSORRT else [])
    assert (batching.priority_levels, batching.default_priority_level) == (3, 2)
    policies = [batching.default_queue_policy, batching.priority_queue_policy[3]]
    assert all(policy.timeout_action == model_config_pb2.ModelQueuePolicy.REJECT for policy in policies)
    assert all(policy.allow_timeout_override and policy.default_timeout_microseconds > 0 for policy in policies)
    assert policies[0].max_queue_size > policies[1].max_queue_size > 0


def test_everything_else_survives_the_way_through_triton() -> None:
    warm = WarmUp("all ones", 8, (WarmUpInput("ids", DType.INT64, (4,), WarmUpData.FILE, "ids.bin"),), count=3)
    group = InstanceGroup(InstanceKind.GPU, 2, (0, 3), (Resource("memory", 4), Resource("bus", 1, shared=True)), 2)
    config = _parse(
        _config(
            instances=(group, InstanceGroup(InstanceKind.CPU)),
            engines=(("8.9", "model.sm89.plan"),),
            warm_up=(warm, replace(warm, inputs=(WarmUpInput("ids", DType.INT64, (4,), WarmUpData.RANDOM),))),
            response_cache=True,
        )
    )
    first, second = config.instance_group
    assert (first.count, list(first.gpus), first.rate_limiter.priority) == (2, [0, 3], 2)
    assert [(item.name, item.count, getattr(item, "global")) for item in first.rate_limiter.resources] == [
        ("memory", 4, False),
        ("bus", 1, True),
    ]
    assert not second.HasField("rate_limiter") and list(second.gpus) == []
    assert dict(config.cc_model_filenames) == {"8.9": "model.sm89.plan"}
    assert config.response_cache.enable
    assert [(item.name, item.batch_size, item.count) for item in config.model_warmup] == [("all ones", 8, 3)] * 2
    assert config.model_warmup[0].inputs["ids"].input_data_file == "ids.bin"
    assert config.model_warmup[1].inputs["ids"].random_data
    assert list(config.model_warmup[0].inputs["ids"].dims) == [4]


@pytest.mark.parametrize(
    ("policy", "field"),
    [(SpecificVersions((3, 4)), "specific"), (LatestVersions(2), "latest"), (AllVersions(), "all")],
)
def test_version_policies(policy: VersionPolicy, field: str) -> None:
    parsed = _parse(_config(versions=policy)).version_policy
    assert parsed.WhichOneof("policy_choice") == field
    if isinstance(policy, SpecificVersions):
        assert list(parsed.specific.versions) == [3, 4]


def test_warm_up_covers_both_ends_of_the_batch_at_the_default_size(source: ModelSource) -> None:
    config = _parsed(source, Component.VAE_DECODER, PublishOptions(warm_up=True))
    assert [sample.batch_size for sample in config.model_warmup] == [1, MAX_BATCH[Component.VAE_DECODER]]
    assert list(config.model_warmup[0].inputs["latents"].dims) == [4, 8, 8]
    text = _parsed(source, Component.TEXT_ENCODER, PublishOptions(warm_up=True))
    assert text.model_warmup[0].inputs["input_ids"].zero_data
    assert not _parsed(source, Component.DENOISER, PublishOptions(warm_up=True)).model_warmup


def test_the_text_encoder_alone_may_be_cached(source: ModelSource) -> None:
    options = PublishOptions(response_cache=True)
    cached = [part for part in Component if _parsed(source, part, options).response_cache.enable]
    assert cached == [Component.TEXT_ENCODER]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": (TensorSpec("ids", DType.INT64, ("n",)),), "response_cache": True}, "fixed shape; dynamic are ids"),
        ({"decoupled": True, "response_cache": True}, "decoupled model has no response cache"),
        ({"platform": "onnxruntime_onnx"}, "exactly one of backend and platform"),
        ({"max_batch_size": 0, "batching": DynamicBatching(0, QueuePolicy())}, "max_batch_size of at least 1"),
        ({"batching": DynamicBatching(0, QueuePolicy(), (2, 9))}, r"sizes \[9\] are not within 1..8"),
        (
            {"batching": DynamicBatching(0, QueuePolicy(), priorities=PriorityLevels(2, 3))},
            r"priority levels \[3\] are not within 1..2",
        ),
        ({"warm_up": (WarmUp("w", 1, ()),)}, "warm-up 'w' must give each of ids"),
    ],
)
def test_what_triton_would_get_wrong_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(PublishError, match=message):
        _config(**changes)
