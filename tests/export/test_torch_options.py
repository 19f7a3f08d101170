"""Options of the torch runtime on their way from the settings through config.pbtxt into Triton's Python models."""

import json

import pytest
from typer.testing import CliRunner

from export.cli.app import app
from export.publishing.options import PublishOptions, Runtime
from export.publishing.served_models import Entry, model_config
from families.catalog import ModelSource
from families.manifest import Component
from families.torch_options import Offload, Switch, TorchDType, TorchOptions
from triptych.triton.models.arguments import parse_arguments

OPTIONS = TorchOptions(dtype=TorchDType.BFLOAT16, vae_tiling=Switch.ON, offload=Offload.MODEL)


def arguments(source: ModelSource, component: Component, options: PublishOptions) -> dict[str, str]:
    """What Triton hands to the model."""
    config = model_config(source.manifest, Entry(component), options)
    parameters = {name: {"string_value": value} for name, value in config.parameters}
    written = json.dumps({"parameters": parameters, "max_batch_size": config.max_batch_size})
    return {"model_config": written, "model_name": config.name, "model_repository": "r", "model_version": "1"}


@pytest.mark.parametrize("component", [Component.DENOISER, Component.VAE_DECODER])
def test_they_arrive(source: ModelSource, component: Component) -> None:
    asked = PublishOptions(runtime=Runtime.TORCH, torch=OPTIONS)
    assert parse_arguments(arguments(source, component, asked)).step.runtime.torch == OPTIONS
    plain = PublishOptions(runtime=Runtime.TORCH)
    assert parse_arguments(arguments(source, component, plain)).step.runtime.torch == TorchOptions()


def test_other_runtimes_have_none(source: ModelSource) -> None:
    given = model_config(source.manifest, Entry(Component.DENOISER), PublishOptions(torch=OPTIONS))
    assert not [name for name, _ in given.parameters if name.startswith("torch")]


def test_a_wrong_one_stops_the_model(source: ModelSource) -> None:
    given = arguments(source, Component.DENOISER, PublishOptions())
    config = json.loads(given["model_config"])
    config["parameters"]["torch_dtype"] = {"string_value": "int8"}
    with pytest.raises(ValueError, match=r"tiny\.denoiser: torch option 'dtype' must be one of auto, float32"):
        parse_arguments(given | {"model_config": json.dumps(config)})


@pytest.mark.parametrize(("given", "said"), [("dtype", "NAME=VALUE"), ("dtype=int8", "bfloat16"), ("x=1", "offload")])
def test_the_command_says_what_is_allowed(given: str, said: str) -> None:
    done = CliRunner().invoke(app, ["publish", "--torch", given], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert said in done.output
