"""Generated configurations as Triton's own protobuf reads them."""

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from export.options import Backend, Device, PublishOptions, Runtime
from export.served_models import model_config
from export.triton_config import InstanceKind, ModelConfig, render
from families import denoise_wire
from families.batching import DETERMINISTIC_ROWS, MAX_BATCH
from families.catalog import ModelSource
from families.manifest import Component


def _parsed(source: ModelSource, component: Component, options: PublishOptions) -> model_config_pb2.ModelConfig:
    text = render(model_config(source.manifest, component, options))
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@pytest.mark.parametrize("component", [Component.TEXT_ENCODER, Component.VAE_DECODER])
@pytest.mark.parametrize("backend", list(Backend))
def test_components_batch_natively(component: Component, backend: Backend, source: ModelSource) -> None:
    config = _parsed(source, component, PublishOptions(backend=backend))
    signature = source.manifest.signature(component)
    assert config.name == f"tiny.{component.value}"
    assert config.max_batch_size == MAX_BATCH[component]
    assert [entry.name for entry in config.input] == [spec.name for spec in signature.inputs]
    assert [tuple(entry.dims) for entry in config.output] == [spec.triton_dims for spec in signature.outputs]
    assert config.HasField("dynamic_batching")
    policy = config.dynamic_batching.default_queue_policy
    assert policy.max_queue_size > 0
    assert policy.timeout_action == model_config_pb2.ModelQueuePolicy.REJECT
    assert not config.model_transaction_policy.decoupled
    assert (config.backend, config.platform) == (
        ("python", "") if backend is Backend.PYTHON else ("", "onnxruntime_onnx")
    )


@pytest.mark.parametrize("backend", list(Backend))
def test_denoiser_is_the_decoupled_step_engine(backend: Backend, source: ModelSource) -> None:
    options = PublishOptions(runtime=Runtime.TORCH, backend=backend, threads=3, max_rows=5, queue_images=7)
    config = _parsed(source, Component.DENOISER, options)
    assert config.backend == "python"
    assert config.model_transaction_policy.decoupled
    assert not config.HasField("dynamic_batching")
    names = [entry.name for entry in config.input]
    assert names == [*(spec.name for spec in denoise_wire.CONTROL_INPUTS), *source.manifest.condition_names]
    assert tuple(config.input[-1].dims) == (-1, *source.manifest.denoiser.inputs[2].triton_dims)
    assert [entry.name for entry in config.output] == [spec.name for spec in denoise_wire.OUTPUTS]
    assert {key: value.string_value for key, value in config.parameters.items()} == {
        "runtime": "torch",
        "threads": "3",
        "max_rows": "5",
        "queue_images": "7",
        "deterministic_rows": str(DETERMINISTIC_ROWS),
    }


def test_zero_batch_size_is_written(source: ModelSource) -> None:
    text = render(model_config(source.manifest, Component.DENOISER, PublishOptions()))
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
        instance=InstanceKind.CPU,
        backend="python",
        parameters=(("key", "two\nlines"),),
    )
    parsed = text_format.Parse(render(config), model_config_pb2.ModelConfig())
    assert parsed.name == 'a"b\\c'
    assert parsed.parameters["key"].string_value == "two\nlines"
    assert list(parsed.input[0].dims) == [1]
    assert parsed.input[0].HasField("reshape") and list(parsed.input[0].reshape.shape) == []
