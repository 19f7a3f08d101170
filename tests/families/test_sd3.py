"""Stable Diffusion 3's JSON as a manifest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from families.catalog import FAMILIES, load_source
from families.errors import ManifestError
from families.manifest import Component, GuidanceKind, ModelManifest, MuRule
from tests.families.conftest import write_json

Json = dict[str, Any]

_CLIP: Json = {"max_position_embeddings": 77, "bos_token_id": 0, "eos_token_id": 2}
_TOKENS = [{"id": 49406, "content": "<|startoftext|>"}, {"id": 49407, "content": "<|endoftext|>"}]
_SPECIAL = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
FILES: dict[str, Json] = {
    "model_index.json": {
        "_class_name": "StableDiffusion3Pipeline",
        "text_encoder_3": ["transformers", "T5EncoderModel"],
    },
    "transformer/config.json": {
        "sample_size": 128,
        "patch_size": 2,
        "in_channels": 16,
        "joint_attention_dim": 4096,
        "pooled_projection_dim": 2048,
        "pos_embed_max_size": 192,
        "qk_norm": "rms_norm",
    },
    "vae/config.json": {
        "latent_channels": 16,
        "block_out_channels": [128, 256, 512, 512],
        "scaling_factor": 1.5305,
        "shift_factor": 0.0609,
    },
    "text_encoder/config.json": {**_CLIP, "hidden_size": 768, "projection_dim": 768},
    "text_encoder_2/config.json": {**_CLIP, "hidden_size": 1280, "projection_dim": 1280},
    "text_encoder_3/config.json": {"d_model": 4096},
    "scheduler/scheduler_config.json": {"num_train_timesteps": 1000, "shift": 3.0},
    "tokenizer/tokenizer.json": {"added_tokens": _TOKENS},
    "tokenizer/tokenizer_config.json": {**_SPECIAL, "pad_token": "<|endoftext|>"},
    "tokenizer_2/tokenizer.json": {"added_tokens": _TOKENS, "model": {"vocab": {"!": 0, "a": 1}}},
    "tokenizer_2/tokenizer_config.json": {**_SPECIAL, "pad_token": "!"},
    "tokenizer_3/tokenizer.json": {"added_tokens": [{"id": 0, "content": "<pad>"}, {"id": 1, "content": "</s>"}]},
    "tokenizer_3/tokenizer_config.json": {"eos_token": "</s>", "pad_token": "<pad>"},
}
T5_FILES = tuple(name for name in FILES if "_3/" in name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, value in FILES.items():
        write_json(tmp_path / "sd35" / name, value)
    return tmp_path / "sd35"


def change(folder: Path, name: str, edit: Callable[[Json], object]) -> None:
    loaded = json.loads((folder / name).read_text())
    edit(loaded)
    write_json(folder / name, loaded)


def manifest_of(folder: Path) -> ModelManifest:
    return load_source(folder).manifest


def test_the_published_model(folder: Path) -> None:
    manifest = manifest_of(folder)
    assert (manifest.family, manifest.guidance) == ("stable-diffusion-3", GuidanceKind.BATCHED)
    assert (manifest.latent.channels, manifest.latent.downscale) == (16, 8)
    assert (manifest.latent.scaling_factor, manifest.latent.shift_factor) == (1.5305, 0.0609)
    assert (manifest.size.multiple, manifest.size.default_width, manifest.size.maximum) == (16, 1024, 2048)
    assert manifest.noise.flow is not None
    assert (manifest.noise.flow.mu, manifest.noise.flow.shift) == (MuRule.FIXED, 3.0)
    assert (manifest.defaults.steps, manifest.defaults.guidance_scale) == (28, 4.5)
    # T5 comes first: it reads the most, so it tells how much of a prompt was kept.
    assert [(rule.input, rule.length, rule.begin_id, rule.end_id, rule.pad_id) for rule in manifest.prompts] == [
        ("input_ids_3", 256, None, 1, 0),
        ("input_ids", 77, 49406, 49407, 49407),
        ("input_ids_2", 77, 49406, 49407, 0),
    ]
    assert [spec.name for spec in manifest.text_encoder.inputs] == [rule.input for rule in manifest.prompts]
    assert [spec.dims for spec in manifest.given] == [(77 + 256, 4096), (2048,)]
    assert not any(rule.chunked for rule in manifest.prompts)


def test_without_t5_nothing_of_it_is_asked_for(folder: Path) -> None:
    change(folder, "model_index.json", lambda index: index.update(text_encoder_3=[None, None]))
    for name in T5_FILES:
        (folder / name).unlink()
    manifest = manifest_of(folder)
    assert [rule.input for rule in manifest.prompts] == ["input_ids", "input_ids_2"]
    assert [spec.dims for spec in manifest.given] == [(77, 2048), (2048,)]
    assert FAMILIES[manifest.family].parts[Component.TEXT_ENCODER] == ("text_encoder", "text_encoder_2")


def test_version_3_is_guided_more(folder: Path) -> None:
    change(folder, "transformer/config.json", lambda config: config.update(qk_norm=None, pos_embed_max_size=96))
    manifest = manifest_of(folder)
    assert (manifest.defaults.guidance_scale, manifest.size.maximum) == (7.0, 1536)
    # No card promises positions that the transformer does not have.
    write_json(folder / "triptych.json", {"maximum_side": 4096})
    assert manifest_of(folder).size.maximum == 1536


def test_a_shift_that_follows_the_size(folder: Path) -> None:
    change(folder, "scheduler/scheduler_config.json", lambda config: config.update(use_dynamic_shifting=True))
    flow = manifest_of(folder).noise.flow
    assert flow is not None and (flow.mu, flow.patch) == (MuRule.LINEAR, 2)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("transformer/config.json", "pooled_projection_dim", 1280),
        ("transformer/config.json", "joint_attention_dim", 1024),
        ("text_encoder_2/config.json", "max_position_embeddings", 64),
        ("text_encoder_3/config.json", "d_model", 1024),
        ("vae/config.json", "latent_channels", 4),
        ("tokenizer_3/tokenizer_config.json", "eos_token", "<unlisted>"),
    ],
)
def test_what_does_not_fit_is_named(folder: Path, name: str, key: str, value: object) -> None:
    change(folder, name, lambda config: config.update({key: value}))
    with pytest.raises(ManifestError, match=rf"{name}.*{key}"):
        manifest_of(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ManifestError, match=Path(name).name):
        manifest_of(folder)
