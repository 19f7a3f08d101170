"""Qwen-Image from files as other tools and other releases write them."""

import json
import shutil
from pathlib import Path

import gguf
import pytest
import torch
from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
from safetensors.torch import load_file, save_file

from engine.modules import load_module, load_source_module
from families.catalog import load_source
from families.derived import Layout
from families.manifest import Component
from families.qwen_image import derive
from families.sources.configs import packaged_configs
from tests.support.checkpoints import prefixed, write_gguf
from tests.support.tiny_qwen_image import CHANNELS, TEXT_WIDTH, write_tiny_qwen_image

TRANSFORMER = Path("transformer") / "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_qwen_image(tmp_path / "tiny")


def _text(folder: Path) -> torch.Tensor:
    ids = torch.randint(0, 300, (1, 60), generator=torch.Generator().manual_seed(0))
    module = load_module("qwen-image", Component.TEXT_ENCODER, folder)
    with torch.inference_mode():
        context: torch.Tensor = module(ids, torch.ones_like(ids, dtype=torch.bool))[0]
    return context.clone()


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_a_gguf_file_with_a_side_folder(folder: Path, tmp_path: Path, prefix: str) -> None:
    file = tmp_path / "models" / "qwen.gguf"
    side = shutil.copytree(folder, file.with_suffix(".config"))
    (side / TRANSFORMER).unlink()
    write_gguf(file, prefixed(prefix, load_file(folder / TRANSFORMER)), gguf.GGMLQuantizationType.Q8_0)
    source, original = load_source(file), load_source(folder)
    assert source.manifest.family == "qwen-image"
    positions = [torch.from_numpy(tensor.array) for tensor in derive(source.manifest, Layout(4, 3, 8))]
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(1, 4 * CHANNELS, 4, 3, generator=generator)
    context = torch.randn(1, 8, TEXT_WIDTH, generator=generator)
    inputs = (sample, torch.tensor([500.0]), context, torch.ones(1, 8, dtype=torch.bool), *positions)
    with torch.inference_mode():
        expected = load_source_module(original, Component.DENOISER)(*inputs)
        got = load_source_module(source, Component.DENOISER, keep_quantised=True)(*inputs)
    assert not torch.equal(got, expected)
    assert (got - expected).std() < 0.02 * expected.std()


def test_text_encoders_of_newer_releases(folder: Path) -> None:
    """Their tensors say which of them are language and which vision."""
    expected, file = _text(folder), folder / "text_encoder" / "model.safetensors"
    renamed = {}
    for name, tensor in load_file(file).items():
        bare = name.removeprefix("model.")
        renamed[name if name.startswith("lm_head") else f"model.{_part(bare)}{bare}"] = tensor
    assert "model.language_model.embed_tokens.weight" in renamed
    save_file(renamed, file)
    assert torch.equal(_text(folder), expected)


def _part(name: str) -> str:
    return "" if name.startswith("visual.") else "language_model."


def test_text_encoders_of_older_releases(folder: Path) -> None:
    """Their configurations have the language model's numbers among all others."""
    expected, file = _text(folder), folder / "text_encoder" / "config.json"
    config = json.loads(file.read_text())
    text = config.pop("text_config")
    rotary = text.pop("rope_parameters")
    del text["model_type"]
    section = {"type": "mrope", "mrope_section": rotary["mrope_section"]}
    file.write_text(json.dumps(config | text | {"rope_theta": rotary["rope_theta"], "rope_scaling": section}))
    assert torch.equal(_text(folder), expected)


def test_the_packaged_configurations_are_the_published_architecture() -> None:
    """Which diffusers' classes have as their defaults."""
    configs = packaged_configs("qwen-image")
    for part, kind in (("transformer", QwenImageTransformer2DModel), ("vae", AutoencoderKLQwenImage)):
        config = json.loads((configs / part / "config.json").read_text())
        assert config.pop("_class_name") == kind.__name__
        with torch.device("meta"):
            defaults = kind().config
        for name, value in config.items():
            default = defaults[name]
            assert value == (list(default) if isinstance(default, tuple) else default), f"{part}: {name}"
