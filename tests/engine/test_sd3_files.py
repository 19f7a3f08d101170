"""Stable Diffusion 3's transformer from single files with its authors' names."""

import shutil
from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file, save_file

from engine.modules import load_source_module
from families.catalog import load_source
from families.errors import CheckpointError
from families.manifest import Component
from tests.support.checkpoints import prefixed, write_gguf
from tests.support.sd3_checkpoints import ldm_sd3
from tests.support.tiny_sd3 import write_tiny_sd3

WEIGHTS = Path("transformer") / "diffusion_pytorch_model.safetensors"
BLOCKS = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_sd3(tmp_path_factory.mktemp("sd3") / "sd3", t5=False)


@pytest.fixture
def models(folder: Path, tmp_path: Path) -> Path:
    """A models directory whose single files share all that is no transformer, and its configuration."""
    shutil.copytree(folder, tmp_path / "shared.config")
    (tmp_path / "shared.config" / WEIGHTS).unlink()
    return tmp_path


def test_the_authors_names(folder: Path, models: Path) -> None:
    state = ldm_sd3(load_file(folder / WEIGHTS), BLOCKS)
    save_file(prefixed("model.diffusion_model.", state), models / "sd3.safetensors")
    source = load_source(models / "sd3.safetensors")
    assert source.manifest.family == "stable-diffusion-3-clip"
    loaded = load_source_module(source, Component.DENOISER).state_dict()
    expected = load_source_module(load_source(folder), Component.DENOISER).state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())


def test_gguf(folder: Path, models: Path) -> None:
    state = ldm_sd3(load_file(folder / WEIGHTS), BLOCKS)
    path = write_gguf(models / "sd3-q8.gguf", state, Kind.Q8_0, rest=Kind.F32)
    exact = load_source_module(load_source(folder), Component.DENOISER).state_dict()
    numbers = load_source_module(load_source(path), Component.DENOISER).state_dict()
    for name, tensor in exact.items():
        torch.testing.assert_close(numbers[name], tensor, atol=0.01, rtol=0.01)


def test_a_tensor_that_is_missing_is_an_error_that_names_the_file(folder: Path, models: Path) -> None:
    state = ldm_sd3(load_file(folder / WEIGHTS), BLOCKS)
    del state["joint_blocks.1.x_block.mlp.fc1.weight"]
    save_file(state, models / "sd3.safetensors")
    with pytest.raises(CheckpointError, match=r"sd3\.safetensors, transformer .* are missing"):
        load_source_module(load_source(models / "sd3.safetensors"), Component.DENOISER)
