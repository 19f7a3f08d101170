"""What Triton hands to the models, as typed values."""

import json
from pathlib import Path

import pytest

from engine.settings import StepSettings
from families.manifest import Component
from triptych.triton.models.arguments import parse_arguments


def args_of(name: str = "m.denoiser", kind: str = "CPU", **parameters: str) -> dict[str, str]:
    config = {
        "max_batch_size": 4,
        "parameters": {key: {"string_value": value} for key, value in parameters.items()},
    }
    return {
        "model_config": json.dumps(config),
        "model_name": name,
        "model_repository": "/models/" + name,
        "model_version": "1",
        "model_instance_kind": kind,
        "model_instance_device_id": "2",
    }


def test_values_and_defaults() -> None:
    given = {"runtime": "onnxruntime", "threads": "3", "max_rows": "4", "deterministic_rows": "2"}
    parsed = parse_arguments(args_of(**given, EXECUTION_ENV_PATH="/env"))
    assert parsed.component is Component.DENOISER
    assert parsed.version_folder == Path("/models/m.denoiser/1")
    assert (parsed.runtime, parsed.max_batch) == ("onnxruntime", 4)
    assert (parsed.step.runtime.threads, parsed.step.runtime.device) == (3, "cpu")
    assert (parsed.step.max_rows, parsed.step.deterministic_rows) == (4, 2)
    assert parsed.step.queue_images == StepSettings().queue_images


def test_the_native_denoiser_is_the_denoiser() -> None:
    assert parse_arguments(args_of("m.denoiser_native", runtime="torch")).component is Component.DENOISER


def test_the_device_is_the_one_triton_chose() -> None:
    assert parse_arguments(args_of(kind="GPU", runtime="torch")).step.runtime.device == "cuda:2"


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("m.denoiser", {"runtime": "torch", "treads": "2"}, "unknown parameters treads"),
        ("m.denoiser", {"threads": "2"}, "lacks the parameter 'runtime'"),
        ("m.denoiser", {"runtime": "torch", "threads": "two"}, "'threads' must be a whole number"),
        ("m.denoiser", {"runtime": "torch", "max_rows": "0"}, "'max_rows' must be at least 1"),
        ("m.unet", {"runtime": "torch"}, "the component one of text_encoder"),
    ],
)
def test_what_does_not_fit_is_named(name: str, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_arguments(args_of(name, **parameters))
