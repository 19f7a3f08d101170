"""FLUX.2's transformer from single files: its authors' names, also in GGUF's blocks."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file, save_file

from engine.checkpoints.quantised import QuantisedLinear
from engine.modules import load_source_module
from families.catalog import load_source
from families.errors import CheckpointError
from families.manifest import Component
from tests.support.checkpoints import prefixed, write_gguf
from tests.support.flux2_checkpoints import ldm_flux2
from tests.support.tiny_flux2 import write_tiny_flux2

WEIGHTS = Path("transformer") / "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_flux2(tmp_path_factory.mktemp("flux2") / "klein")


@pytest.fixture
def models(folder: Path, tmp_path: Path) -> Path:
    """A models directory whose single files share all that is no transformer, and its configuration."""
    shared = tmp_path / "shared.config"
    shutil.copytree(folder, shared)
    (shared / WEIGHTS).unlink()
    return tmp_path


def test_the_authors_names(folder: Path, models: Path) -> None:
    state = load_file(folder / WEIGHTS)
    save_file(prefixed("model.diffusion_model.", ldm_flux2(state)), models / "klein.safetensors")
    source = load_source(models / "klein.safetensors")
    assert source.manifest.family == "flux2"
    loaded = load_source_module(source, Component.DENOISER).state_dict()
    expected = load_source_module(load_source(folder), Component.DENOISER).state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())


def test_gguf_stays_in_its_blocks(folder: Path, models: Path) -> None:
    state = ldm_flux2(load_file(folder / WEIGHTS))
    path = write_gguf(models / "klein-q8.gguf", state, Kind.Q8_0, rest=Kind.F32)
    module = load_source_module(load_source(path), Component.DENOISER, keep_quantised=True)
    kept = module.get_submodule("transformer.transformer.transformer_blocks.0.attn.to_k")
    assert isinstance(kept, QuantisedLinear)
    exact = load_source_module(load_source(folder), Component.DENOISER).state_dict()
    numbers = load_source_module(load_source(path), Component.DENOISER).state_dict()
    for name, tensor in exact.items():
        torch.testing.assert_close(numbers[name], tensor, atol=0.01, rtol=0.01)
    eye = torch.eye(kept.in_features)
    torch.testing.assert_close(kept(eye).T, numbers["transformer.transformer.transformer_blocks.0.attn.to_k.weight"])


def test_a_file_of_another_size_is_named(folder: Path, models: Path) -> None:
    """The packaged configuration is the 4B model's."""
    save_file(ldm_flux2(load_file(folder / WEIGHTS)), models / "klein.safetensors")
    config = models / "shared.config" / "transformer" / "config.json"
    loaded = json.loads(config.read_text())
    config.write_text(json.dumps({**loaded, "joint_attention_dim": 96}))
    text = models / "shared.config" / "text_encoder" / "config.json"
    text.write_text(json.dumps({**json.loads(text.read_text()), "hidden_size": 32}))
    with pytest.raises(CheckpointError, match=r"txt_in.*joint_attention_dim 96"):
        load_source(models / "klein.safetensors")
