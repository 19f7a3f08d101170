"""Qwen-Image-Layered from files as other tools write them: its transformer in GGUF's blocks beside a folder's parts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
from gguf import GGMLQuantizationType as Kind
from PIL import Image
from safetensors.torch import load_file, save_file

from engine.checkpoints.quantised import QuantisedLinear
from engine.modules import load_source_module
from families.catalog import ModelSource, load_source
from families.derived import Layout
from families.errors import CheckpointError
from families.manifest import Component
from families.qwen_image_layered import derive
from families.sources.configs import packaged_configs
from tests.support.checkpoints import prefixed, write_gguf
from tests.support.tiny_qwen_image import TEXT_WIDTH
from tests.support.tiny_qwen_image_layered import write_tiny_qwen_image_layered
from tests.support.whole import Wanted, open_whole

TRANSFORMER = Path("transformer") / "diffusion_pytorch_model.safetensors"
# Measured on random weights three times as large as they are drawn: 20, 7.5 and 1 % of a velocity.
ALLOWED = {Kind.Q4_0: 0.3, Kind.Q5_0: 0.12, Kind.Q8_0: 0.02}
BITS = {Kind.Q4_0: 4.5, Kind.Q5_0: 5.5, Kind.Q8_0: 8.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_qwen_image_layered(tmp_path_factory.mktemp("layered") / "tiny")


def in_the_folder(folder: Path, models: Path, kind: Kind) -> Path:
    """A diffusers folder whose transformer is one GGUF."""
    made = models / "folder"
    shutil.copytree(folder, made)
    (made / TRANSFORMER).unlink()
    write_gguf(made / "transformer" / "layered.gguf", load_file(folder / TRANSFORMER), kind)
    return made


def placed(folder: Path, models: Path, kind: Kind) -> Path:
    """A folder that says that its transformer lies elsewhere."""
    made = in_the_folder(folder, models, kind)
    (made / "transformer").rename(models / "quantised")
    card = json.loads((made / "triptych.json").read_text())
    (made / "triptych.json").write_text(json.dumps(card | {"parts": {"transformer": "../quantised"}}))
    return made


def beside_a_folder(folder: Path, models: Path, kind: Kind) -> Path:
    """A single file, as GGUFs are published, with all the rest in its side folder."""
    file = models / "qwen-image-layered.gguf"
    (shutil.copytree(folder, file.with_suffix(".config")) / TRANSFORMER).unlink()
    return write_gguf(file, prefixed("model.diffusion_model.", load_file(folder / TRANSFORMER)), kind)


def _velocity(source: ModelSource, *, keep_quantised: bool, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    channels = source.manifest.latent.channels
    positions = [torch.from_numpy(tensor.array) for tensor in derive(source.manifest, Layout(12, 4, 9, ((3, 4),)))]
    inputs = (
        torch.randn(1, channels, 12, 4, generator=generator).to(dtype),
        torch.tensor([500.0]),
        torch.randn(1, 9, TEXT_WIDTH, generator=generator).to(dtype),
        torch.ones(1, 9, dtype=torch.bool),
        torch.randn(1, 12, channels, generator=generator).to(dtype),
    )
    module = load_source_module(source, Component.DENOISER, dtype, keep_quantised=keep_quantised)
    kept = [layer for layer in module.modules() if isinstance(layer, QuantisedLinear)]
    linear = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
    assert bool(kept) is keep_quantised and (not keep_quantised or not linear), "every matrix stays in its blocks"
    with torch.inference_mode():
        velocity: torch.Tensor = module(*inputs, *positions).float()
    return velocity


def _error(got: torch.Tensor, expected: torch.Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


@pytest.mark.parametrize("layout", [in_the_folder, placed, beside_a_folder], ids=lambda layout: layout.__name__)
def test_wherever_the_blocks_lie(layout: Callable[[Path, Path, Kind], Path], folder: Path, tmp_path: Path) -> None:
    source, original = load_source(layout(folder, tmp_path, Kind.Q8_0)), load_source(folder)
    assert (source.manifest.family, source.manifest.layers) == ("qwen-image-layered", original.manifest.layers)
    expected = _velocity(original, keep_quantised=False)
    assert 0 < _error(_velocity(source, keep_quantised=True), expected) < ALLOWED[Kind.Q8_0]


@pytest.mark.parametrize("kind", list(ALLOWED), ids=lambda kind: kind.name)
def test_blocks_mean_what_their_numbers_do(kind: Kind, folder: Path, tmp_path: Path) -> None:
    """The error is the numbers', not the arithmetic's: dequantised first, they give the very same."""
    source, original = load_source(in_the_folder(folder, tmp_path, kind)), load_source(folder)
    blocks, exact = _velocity(source, keep_quantised=True), _velocity(original, keep_quantised=False)
    assert torch.equal(blocks, _velocity(source, keep_quantised=False))
    half = _velocity(original, keep_quantised=False, dtype=torch.bfloat16)
    for expected in (exact, half):
        assert 0 < _error(blocks, expected) < ALLOWED[kind] + _error(half, exact)
    (file,) = source.weights(Component.DENOISER)[0].files
    numbers = sum(tensor.numel() for tensor in load_file(folder / TRANSFORMER).values())
    assert file.stat().st_size < numbers * (BITS[kind] + 1) / 8


async def test_a_picture_is_taken_apart_from_blocks(folder: Path, tmp_path: Path) -> None:
    """Published and opened like any other model, Q5_0 as the published file is."""
    small = np.random.default_rng(1).integers(0, 256, (4, 4, 4), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(small, "RGBA").resize((64, 96)))
    wanted = Wanted("a red dress", 64, 96, layers=3, guidance=4.0, references=(picture,))
    drawn = []
    for path in (folder, in_the_folder(folder, tmp_path, Kind.Q5_0)):
        async with open_whole(load_source(path), tmp_path / f"{path.name}-repository") as whole:
            drawn.append((await whole.draw(wanted)).astype(int))
    exact, quantised = drawn
    difference = np.abs(exact - quantised)
    assert 0 < difference.mean() < 0.1 * exact.std()


def test_a_single_safetensors_file(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "layered.safetensors"
    (shutil.copytree(folder, file.with_suffix(".config")) / TRANSFORMER).unlink()
    save_file(load_file(folder / TRANSFORMER), file)
    source, original = load_source(file), load_source(folder)
    assert torch.equal(_velocity(source, keep_quantised=False), _velocity(original, keep_quantised=False))


def test_a_file_alone_says_what_it_lacks(folder: Path, tmp_path: Path) -> None:
    """The packaged configurations are the published model's, so a smaller one needs its own."""
    save_file(load_file(folder / TRANSFORMER), tmp_path / "layered.safetensors")
    side = tmp_path / "layered.config"
    for part in ("scheduler", "tokenizer", "text_encoder", "vae"):
        shutil.copytree(folder / part, side / part)
    shutil.copy(folder / "model_index.json", side)
    with pytest.raises(CheckpointError, match=r"qwen-image-layered/transformer/config\.json"):
        load_source_module(load_source(tmp_path / "layered.safetensors"), Component.DENOISER)


def test_the_packaged_configurations_are_the_published_architecture() -> None:
    """Which diffusers' classes have as their defaults, but for what makes it layered."""
    configs = packaged_configs("qwen-image-layered")
    own = {"input_channels": 4, "use_additional_t_cond": True, "use_layer3d_rope": True}
    found = set()
    for part, kind in (("transformer", QwenImageTransformer2DModel), ("vae", AutoencoderKLQwenImage)):
        config = json.loads((configs / part / "config.json").read_text())
        assert config.pop("_class_name") == kind.__name__
        with torch.device("meta"):
            defaults = kind().config
        for name, value in config.items():
            default = defaults[name]
            assert value == own.get(name, list(default) if isinstance(default, tuple) else default), f"{part}: {name}"
            found.add(name)
    assert own.keys() <= found
