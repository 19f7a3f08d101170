"""FLUX.2-klein's JSON as a manifest, and the positions of its tokens."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from families.catalog import FAMILIES, load_source
from families.derived import Layout
from families.errors import ManifestError
from families.manifest import Component, GuidanceKind, ModelManifest, MuRule
from tests.families.conftest import write_json

Json = dict[str, Any]

FILES: dict[str, Json] = {
    "model_index.json": {"_class_name": "Flux2KleinPipeline", "is_distilled": True},
    "transformer/config.json": {
        "in_channels": 128,
        "attention_head_dim": 128,
        "joint_attention_dim": 7680,
        "axes_dims_rope": [32, 32, 32, 32],
        "rope_theta": 2000,
        "guidance_embeds": False,
    },
    "vae/config.json": {"latent_channels": 32, "block_out_channels": [128, 256, 512, 512], "patch_size": [2, 2]},
    "text_encoder/config.json": {"hidden_size": 2560, "num_hidden_layers": 36},
    "scheduler/scheduler_config.json": {"num_train_timesteps": 1000, "shift": 3.0, "use_dynamic_shifting": True},
    "tokenizer/tokenizer.json": {"added_tokens": [{"id": 151643, "content": "<|endoftext|>"}]},
    "tokenizer/tokenizer_config.json": {"pad_token": "<|endoftext|>"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, value in FILES.items():
        write_json(tmp_path / "klein" / name, value)
    return tmp_path / "klein"


def change(folder: Path, name: str, edit: Callable[[Json], object]) -> None:
    loaded = json.loads((folder / name).read_text())
    edit(loaded)
    write_json(folder / name, loaded)


def manifest_of(folder: Path) -> ModelManifest:
    return load_source(folder).manifest


def test_the_published_4b_model(folder: Path) -> None:
    manifest = manifest_of(folder)
    assert (manifest.family, manifest.latent.channels, manifest.latent.downscale) == ("flux2", 128, 16)
    assert manifest.latent.mask_cell == 16
    assert (manifest.guidance, manifest.defaults.steps) == (GuidanceKind.NONE, 4)
    assert (manifest.size.multiple, manifest.size.default_width) == (16, 1024)
    assert manifest.noise.flow is not None and manifest.noise.flow.mu is MuRule.EMPIRICAL
    assert manifest.components == tuple(Component)
    assert manifest.references is not None and manifest.references.area == 1024 * 1024
    (rule,) = manifest.prompts
    assert (rule.length, rule.pad_id, rule.begin_id, rule.end_id) == (512, 151643, None, None)
    assert manifest.given[0].dims == (512, 7680)
    assert [spec.name for spec in manifest.denoiser.inputs[:4]] == ["sample", "timestep", "context", "reference"]


def test_the_base_model_is_guided(folder: Path) -> None:
    change(folder, "model_index.json", lambda index: index.update(is_distilled=False))
    manifest = manifest_of(folder)
    assert (manifest.guidance, manifest.defaults.steps, manifest.defaults.guidance_scale) == (
        GuidanceKind.BATCHED, 50, 4.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("transformer/config.json", "guidance_embeds", True),
        ("transformer/config.json", "axes_dims_rope", [16, 56, 56]),
        ("transformer/config.json", "rope_theta", 10000),
        ("text_encoder/config.json", "hidden_size", 4096),
        ("text_encoder/config.json", "num_hidden_layers", 27),
        ("vae/config.json", "latent_channels", 16),
        ("vae/config.json", "patch_size", [1, 1]),
        ("scheduler/scheduler_config.json", "use_karras_sigmas", True),
        ("tokenizer/tokenizer_config.json", "padding_side", "left"),
        ("tokenizer/tokenizer_config.json", "pad_token", "<unlisted>"),
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


def test_positions_are_what_the_signature_says(folder: Path) -> None:
    manifest = manifest_of(folder)
    layout = Layout(3, 5, 7, ((2, 4), (1, 6)))
    tensors = FAMILIES[manifest.family].derive(manifest, layout)
    sizes = {"latent_height": 3, "latent_width": 5, "text_length": 7, "reference_length": 14}
    specs = manifest.denoiser.inputs[4:]
    assert [tensor.name for tensor in tensors] == [spec.name for spec in specs]
    for tensor, spec in zip(tensors, specs, strict=True):
        dims = tuple(sizes[dim] if isinstance(dim, str) else dim for dim in spec.dims)
        assert (tensor.array.shape, tensor.array.dtype) == ((1, *dims), np.float32)
    values = {tensor.name: tensor.array for tensor in tensors}
    # The first channel of each axis turns by the position itself: time, row, column, place in the text.
    angles = {
        name: np.arctan2(values[f"{name}_sin"], values[f"{name}_cos"])[..., ::16] for name in ("latent", "reference")
    }
    np.testing.assert_allclose(angles["latent"][0, 2, 1], (0, 2, 1, 0), atol=1e-6)
    wrapped = (np.arange(10, 21, 10) + np.pi) % (2 * np.pi) - np.pi
    np.testing.assert_allclose(angles["reference"][0, 7], (wrapped[0], 1, 3, 0), atol=1e-6)
    np.testing.assert_allclose(angles["reference"][0, 8 + 2], (wrapped[1], 0, 2, 0), atol=1e-6)
    np.testing.assert_allclose(values["text_sin"][0, 5, 48:50], (np.sin(5), np.sin(5 * 2000 ** (-1 / 16))), atol=1e-6)


def test_without_references_there_are_no_reference_positions(folder: Path) -> None:
    manifest = manifest_of(folder)
    values = {tensor.name: tensor.array for tensor in FAMILIES[manifest.family].derive(manifest, Layout(2, 2, 3))}
    assert values["reference_cos"].shape == values["reference_sin"].shape == (1, 0, 64)
