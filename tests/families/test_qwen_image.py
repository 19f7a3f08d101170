"""A Qwen-Image folder's JSON as a manifest, and the positions that follow from sizes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from families.catalog import load_source
from families.derived import Layout
from families.errors import ManifestError
from families.manifest import Component, FlowRule, GuidanceKind, ModelManifest, MuRule
from families.qwen_image import derive
from tests.families.conftest import write_json

FILES: dict[str, dict[str, Any]] = {
    "model_index.json": {"_class_name": "QwenImagePipeline"},
    "transformer/config.json": {
        "in_channels": 64,
        "joint_attention_dim": 3584,
        "attention_head_dim": 128,
        "axes_dims_rope": [16, 56, 56],
    },
    "vae/config.json": {"z_dim": 16, "temperal_downsample": [False, True, True]},
    "scheduler/scheduler_config.json": {
        "base_image_seq_len": 256,
        "base_shift": 0.5,
        "max_image_seq_len": 8192,
        "max_shift": 0.9,
        "shift_terminal": 0.02,
        "use_dynamic_shifting": True,
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, value in FILES.items():
        write_json(tmp_path / "qwen" / name, value)
    return tmp_path / "qwen"


def _manifest(folder: Path) -> ModelManifest:
    return load_source(folder).manifest


def test_what_a_folder_says(folder: Path) -> None:
    manifest = _manifest(folder)
    assert (manifest.family, manifest.guidance) == ("qwen-image", GuidanceKind.RENORMALISED)
    assert (manifest.latent.channels, manifest.latent.downscale, manifest.latent.noise_patch) == (64, 16, 2)
    assert manifest.latent.mask_cell == 8
    assert manifest.noise.flow == FlowRule(
        mu=MuRule.LINEAR, max_shift=0.9, max_tokens=8192, terminal=0.02, linear_sigmas=True
    )
    assert manifest.size.default_width == 1024
    assert manifest.components == tuple(Component)


def test_text_reaches_the_transformer_without_its_instruction(folder: Path) -> None:
    manifest = _manifest(folder)
    assert manifest.prompts[0].length == 34 + 512
    assert [spec.dims for spec in manifest.given] == [(512, 3584), (512,)]
    assert [spec.name for spec in manifest.denoiser.inputs[2:4]] == [spec.name for spec in manifest.given]


def test_derived_tensors_end_the_denoisers_inputs(folder: Path) -> None:
    manifest = _manifest(folder)
    derived = derive(manifest, Layout(5, 4, 7))
    assert [tensor.name for tensor in derived] == [spec.name for spec in manifest.denoiser.inputs[-4:]]
    assert [tensor.array.shape for tensor in derived] == [(1, 5, 4, 64)] * 2 + [(1, 7, 64)] * 2


def test_rows_and_columns_count_from_the_middle(folder: Path) -> None:
    """The slowest angle but the fastest are told apart by hand: an axis' first frequency is 1."""
    cos, sin, text_cos, _ = (tensor.array[0] for tensor in derive(_manifest(folder), Layout(5, 4, 3)))
    angles = np.arctan2(sin, cos)
    assert not angles[..., :8].any(), "there is one picture only: number 0"
    np.testing.assert_allclose(angles[:, 0, 8], [-3, -2, -1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(angles[0, :, 36], [-2, -1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(text_cos[:, [0, 8, 36]], np.cos([[2] * 3, [3] * 3, [4] * 3]), atol=1e-6)


@pytest.mark.parametrize("key", ["zero_cond_t", "use_additional_t_cond", "use_layer3d_rope", "guidance_embeds"])
def test_what_would_be_computed_wrongly_is_refused(folder: Path, key: str) -> None:
    write_json(folder / "transformer" / "config.json", FILES["transformer/config.json"] | {key: True})
    with pytest.raises(ManifestError, match=rf"config.json: {key} is not supported"):
        load_source(folder)


def test_other_positions_are_refused(folder: Path) -> None:
    write_json(folder / "transformer" / "config.json", FILES["transformer/config.json"] | {"axes_dims_rope": [64, 64]})
    with pytest.raises(ManifestError, match="axes_dims_rope must be 2, 7 and 7 sixteenths of 128"):
        load_source(folder)


@pytest.mark.parametrize("name", list(FILES))
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(ManifestError, match=Path(name).name):
        load_source(folder)


def test_a_missing_key_is_named(folder: Path) -> None:
    config = {key: value for key, value in FILES["transformer/config.json"].items() if key != "in_channels"}
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ManifestError, match=r"transformer/config.json: in_channels is missing"):
        load_source(folder)
