"""An SDXL folder's JSON as a manifest, and what follows from a picture's size."""

import json
from pathlib import Path
from typing import Any

import pytest

from families.catalog import load_source
from families.derived import Layout
from families.errors import ManifestError
from families.manifest import Component, NoiseSchedule
from families.sdxl import derive
from families.sources.configs import packaged_configs
from tests.families.conftest import write_json

PUBLISHED = packaged_configs("stable-diffusion-xl")
TOKENS = {
    "added_tokens": [{"id": 49406, "content": "<b>"}, {"id": 49407, "content": "<e>"}],
    "model": {"vocab": {"!": 0}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The published configurations."""
    made = tmp_path / "xl"
    write_json(made / "model_index.json", {"_class_name": "StableDiffusionXLPipeline"})
    for file in sorted(PUBLISHED.glob("*/*.json")):
        write_json(made / file.relative_to(PUBLISHED), json.loads(file.read_text()))
    for name, pad in (("tokenizer", "<e>"), ("tokenizer_2", "!")):
        write_json(made / name / "tokenizer.json", TOKENS)
        declared = {"bos_token": "<b>", "eos_token": "<e>", "pad_token": pad}
        write_json(made / name / "tokenizer_config.json", declared)
    return made


def change(path: Path, **values: Any) -> None:
    write_json(path, json.loads(path.read_text()) | values)


def test_what_the_published_folder_says(folder: Path) -> None:
    manifest = load_source(folder).manifest
    assert manifest.noise == NoiseSchedule(
        1000, 0.00085, 0.012, "scaled_linear", manifest.noise.prediction, "leading", 1, set_alpha_to_one=False
    )
    assert (manifest.defaults.steps, manifest.defaults.guidance_scale, manifest.defaults.scheduler) == (30, 5, "euler")
    assert (manifest.size.default_width, manifest.size.multiple) == (1024, 8)
    assert [rule.pad_id for rule in manifest.prompts] == [49407, 0]
    assert [rule.file for rule in manifest.prompts] == ["tokenizer/tokenizer.json", "tokenizer_2/tokenizer.json"]
    names = [spec.name for spec in manifest.denoiser.inputs]
    assert names == ["sample", "timestep", "context", "text_embeds", "time_ids"]
    assert manifest.signature(Component.DENOISER).inputs[2].dims == ("text_length", 2048)
    assert manifest.empty_negative_is_zero


def test_turbo_models_are_told_by_their_scheduler(folder: Path) -> None:
    scheduler = folder / "scheduler" / "scheduler_config.json"
    change(scheduler, _class_name="EulerAncestralDiscreteScheduler", timestep_spacing="trailing")
    defaults = load_source(folder).manifest.defaults
    assert (defaults.steps, defaults.guidance_scale, defaults.scheduler) == (4, 1, "euler_a")
    change(scheduler, prediction_type="v_prediction")
    assert load_source(folder).manifest.defaults.guidance_scale == 5


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("PNDMScheduler", {}, "pndm"),
        ("DPMSolverMultistepScheduler", {}, "dpm++"),
        ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}, "dpm++_karras"),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, "dpm++_sde"),
        ("SomeoneElsesScheduler", {}, "euler"),
    ],
)
def test_the_folders_scheduler_is_recommended(kind: str, more: dict[str, object], expected: str, folder: Path) -> None:
    change(folder / "scheduler" / "scheduler_config.json", _class_name=kind, **more)
    assert load_source(folder).manifest.defaults.scheduler == expected


def test_an_empty_negative_prompt_is_text_where_the_folder_says_so(folder: Path) -> None:
    change(folder / "model_index.json", force_zeros_for_empty_prompt=False)
    assert not load_source(folder).manifest.empty_negative_is_zero


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("unet", {"addition_embed_type": "text"}, r"addition_embed_type must be text_time, got 'text'"),
        ("unet", {"in_channels": 9}, r"in_channels is 9, the VAE's latents have 4"),
        ("unet", {"time_cond_proj_dim": 256}, r"time_cond_proj_dim is not supported"),
        ("vae", {"latents_mean": [1, 2, 3, 4]}, r"latents_mean is not supported"),
        ("text_encoder_2", {"max_position_embeddings": 64}, r"must be that of text_encoder"),
    ],
)
def test_relatives_that_would_be_drawn_wrongly_are_refused(
    file: str, values: dict[str, Any], message: str, folder: Path
) -> None:
    path = folder / file / "config.json"
    change(path, **values)
    with pytest.raises(ManifestError, match=message) as caught:
        load_source(folder)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("key", ["rescale_betas_zero_snr", "trained_betas", "sigma_data"])
def test_other_noise_levels_are_refused(key: str, folder: Path) -> None:
    change(folder / "scheduler" / "scheduler_config.json", **{key: [0.1]})
    with pytest.raises(ManifestError, match=rf"scheduler_config\.json: {key} is not supported"):
        load_source(folder)


def test_a_picture_is_whole_and_of_its_own_size(folder: Path) -> None:
    (ids,) = derive(load_source(folder).manifest, Layout(latent_height=96, latent_width=130, text_length=77))
    assert ids.name == "time_ids"
    assert ids.array.tolist() == [[768, 1040, 0, 0, 768, 1040]]
    assert str(ids.array.dtype) == "float32"
