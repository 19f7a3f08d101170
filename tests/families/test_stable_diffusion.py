"""A diffusers folder's JSON as a manifest."""

from pathlib import Path

import pytest

from families.catalog import load_source
from families.errors import ManifestError
from families.manifest import Component, LatentLayout, ModelManifest, Prediction, triton_model_name
from families.tensors import DType, TensorSpec
from tests.families.conftest import FILES, write_json


def _manifest(folder: Path) -> ModelManifest:
    return load_source(folder).manifest


def test_what_a_folder_says(model_folder: Path) -> None:
    manifest = _manifest(model_folder)
    assert (manifest.name, manifest.family, manifest.licence) == ("toy", "stable-diffusion", "unknown")
    assert manifest.latent == LatentLayout(manifest.latent.kind, 4, 8, 0.5, 0.0)
    assert manifest.noise.prediction is Prediction.V
    assert (manifest.size.multiple, manifest.size.default_width, manifest.size.default_height) == (8, 128, 128)
    assert (manifest.prompts[0].length, manifest.prompts[0].begin_id, manifest.prompts[0].end_id) == (64, 0, 1)


def test_conditions_are_the_text_encoders_outputs(model_folder: Path) -> None:
    manifest = _manifest(model_folder)
    assert [spec.name for spec in manifest.denoiser.inputs[2:]] == [spec.name for spec in manifest.given]
    assert manifest.denoiser.inputs[2].dims == ("text_length", *manifest.given[0].dims[1:])
    assert [spec.name for spec in manifest.given] == ["context"]
    assert manifest.denoiser.inputs[0].triton_dims == (4, -1, -1)
    assert manifest.signature(Component.VAE_DECODER).outputs == (
        TensorSpec("pixels", DType.UINT8, ("height", "width", 3)),
    )
    assert triton_model_name("toy", Component.DENOISER) == "toy.denoiser"


@pytest.mark.parametrize(
    ("pad_token", "expected"), [("<pad>", 2), ({"content": "<pad>"}, 2), (None, 1), ("<unlisted>", 1)]
)
def test_padding_is_the_declared_token_or_the_end(pad_token: object, expected: int, model_folder: Path) -> None:
    write_json(model_folder / "tokenizer" / "tokenizer_config.json", {"pad_token": pad_token})
    assert _manifest(model_folder).prompts[0].pad_id == expected


def test_card_overrides_the_familys_defaults(model_folder: Path) -> None:
    before = _manifest(model_folder).defaults
    assert (before.steps, before.guidance_scale, before.scheduler) == (25, 7.5, "dpm++_sde_karras")
    write_json(
        model_folder / "triptych.json",
        {"licence": "Apache-2.0", "maximum_side": 256, "sampling": {"steps": 9, "guidance_scale": 3}},
    )
    manifest = _manifest(model_folder)
    assert (manifest.licence, manifest.size.maximum) == ("Apache-2.0", 256)
    assert (manifest.defaults.steps, manifest.defaults.guidance_scale) == (9, 3.0)
    assert manifest.defaults.scheduler == "dpm++_sde_karras"


@pytest.mark.parametrize("name", list(FILES))
def test_a_missing_file_is_named(name: str, model_folder: Path) -> None:
    (model_folder / name).unlink()
    with pytest.raises(ManifestError, match=str(Path(name).name)):
        load_source(model_folder)


@pytest.mark.parametrize("name", list(FILES))
def test_a_broken_file_is_named(name: str, model_folder: Path) -> None:
    (model_folder / name).write_text("{")
    with pytest.raises(ManifestError, match="is not valid JSON"):
        load_source(model_folder)


def test_steps_are_spaced_as_the_folder_says_or_as_each_scheduler_does(model_folder: Path) -> None:
    assert _manifest(model_folder).noise.timestep_spacing == "trailing"
    scheduler = FILES["scheduler/scheduler_config.json"]
    silent = {key: value for key, value in scheduler.items() if key != "timestep_spacing"}
    write_json(model_folder / "scheduler" / "scheduler_config.json", silent)
    assert _manifest(model_folder).noise.timestep_spacing == ""
