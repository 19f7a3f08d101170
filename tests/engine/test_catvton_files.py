"""CatVTON as it is published, its self-attention alone, laid over the base that it was trained on."""

from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from engine.modules import load_module, load_source_module
from export.sources import published_weights
from families.catalog import load_source
from families.errors import CheckpointError
from families.manifest import Component
from tests.support.tiny_catvton import CHANNELS, INDEX, tiny_unet, write_scheduler
from tests.support.tiny_sd15 import tiny_vae, write_json

BLOCKS = (320, 16)
"""The published first width tells its layers from others'."""
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def base() -> UNet2DConditionModel:
    return tiny_unet(BLOCKS)


@pytest.fixture(scope="module")
def trained(base: UNet2DConditionModel) -> State:
    """The base's tensors with other self-attentions, and without what cross-attention projects."""
    generator = torch.Generator().manual_seed(3)
    return {
        name: torch.randn(tensor.shape, generator=generator) if ".attn1." in name else tensor
        for name, tensor in base.state_dict().items()
        if ".attn2." not in name
    }


def listed(base: UNet2DConditionModel, trained: State) -> State:
    """As the authors' training saves it: every module inside of a self-attention, by its number in one list."""
    made: State = {}
    places = [name for name, _ in base.named_modules() if "attn1" in name]
    for number, place in enumerate(places):
        for name, tensor in trained.items():
            if name.startswith(f"{place}."):
                made[f"{number}.{name.removeprefix(f'{place}.')}"] = tensor.clone()
    return made


def write_base(folder: Path, base: UNet2DConditionModel) -> None:
    """Everything but the trained layers."""
    base.save_pretrained(folder / "unet")
    tiny_vae(0.18215).save_pretrained(folder / "vae")
    write_scheduler(folder)


def unet_of(module: torch.nn.Module) -> State:
    return {name.removeprefix("unet."): tensor for name, tensor in module.state_dict().items()}


def assert_equal(got: State, wanted: State) -> None:
    assert got.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(got[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("naming", ["numbered", "named"])
def test_one_file_beside_its_base(base: UNet2DConditionModel, trained: State, naming: str, tmp_path: Path) -> None:
    own = {name: tensor.clone() for name, tensor in trained.items() if ".attn1." in name}
    path = tmp_path / "catvton.safetensors"
    save_file(listed(base, trained) if naming == "numbered" else own, path)
    write_base(tmp_path / "catvton.config", base)
    source = load_source(path)
    assert (source.manifest.family, source.manifest.latent.channels) == ("catvton", CHANNELS)
    assert_equal(unet_of(load_source_module(source, Component.DENOISER)), trained)


def test_a_folder_that_says_where_its_parts_are(base: UNet2DConditionModel, trained: State, tmp_path: Path) -> None:
    write_base(tmp_path / "base", base)
    model = tmp_path / "catvton"
    write_json(model / "model_index.json", INDEX)
    (model / "mix-48k-1024" / "attention").mkdir(parents=True)
    save_file(listed(base, trained), model / "mix-48k-1024" / "attention" / "model.safetensors")
    parts = {
        "unet": {"folder": "../base/unet", "overlay": "mix-48k-1024/attention/model.safetensors"},
        "vae": "../base/vae",
        "scheduler": "../base/scheduler",
    }
    write_json(model / "triptych.json", {"parts": parts})
    source = load_source(model)
    assert_equal(unet_of(load_source_module(source, Component.DENOISER)), trained)
    published = tmp_path / "published"
    for path, place in published_weights(source, Component.DENOISER):
        (published / place).parent.mkdir(parents=True, exist_ok=True)
        (published / place).symlink_to(path)
    assert_equal(unet_of(load_module("catvton", Component.DENOISER, published)), trained)


def test_what_is_missing_is_named(base: UNet2DConditionModel, trained: State, tmp_path: Path) -> None:
    path = tmp_path / "catvton.safetensors"
    save_file(listed(base, trained) | {"900.to_q.weight": torch.zeros(2, 2)}, path)
    write_base(tmp_path / "catvton.config", base)
    with pytest.raises(CheckpointError, match=r"lists \d+ self-attentions, and the module has \d+"):
        load_source_module(load_source(path), Component.DENOISER)
    for file in (tmp_path / "catvton.config" / "unet").iterdir():
        file.unlink()
    (tmp_path / "catvton.config" / "unet").rmdir()
    with pytest.raises(CheckpointError, match="holds only some layers of the unet, for a whole one: put unet/config"):
        load_source(path)
