"""Adapter files by their headers: whose layers they mean, and whether these are the model's."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from families.catalog import ModelSource, load_source
from families.lora.errors import LoraError
from families.lora.files import LoraFile, find_loras, read_lora
from families.lora.keys import LoraPart, LoraRole, read_key
from families.lora.layer_names import layer_index
from families.manifest import Component
from tests.support.tiny_lora import attention, write_kohya, write_peft
from tests.support.tiny_sd15 import write_tiny_sd15

Q = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
FLAT = Q.replace(".", "_")
LAYERS = {LoraPart.DENOISER: {Q: (8, 8), f"{Q[:-1]}out.0": (8, 8), "conv": (8, 4, 3, 3)}}


@pytest.mark.parametrize(
    ("name", "part", "layer", "role"),
    [
        (f"unet.{Q}.lora_A.weight", LoraPart.DENOISER, FLAT, LoraRole.DOWN),
        (f"base_model.model.{Q}.lora_B.default.weight", LoraPart.DENOISER, FLAT, LoraRole.UP),
        (f"unet.{Q}.lora.up.weight", LoraPart.DENOISER, FLAT, LoraRole.UP),
        (f"transformer.{Q}.lora_A.weight", LoraPart.DENOISER, FLAT, LoraRole.DOWN),
        (f"diffusion_model.{Q}.lora_down.weight", LoraPart.DENOISER, FLAT, LoraRole.DOWN),
        (f"{Q}.lora_A.weight", LoraPart.DENOISER, FLAT, LoraRole.DOWN),
        (f"lora_unet_{FLAT}.alpha", LoraPart.DENOISER, FLAT, LoraRole.ALPHA),
        ("unet.mid.processor.to_q_lora.down.weight", LoraPart.DENOISER, "mid_to_q", LoraRole.DOWN),
        ("lora_te_text_model_x.lora_up.weight", LoraPart.TEXT_ENCODER, "text_model_x", LoraRole.UP),
        ("lora_te2_text_model_x.alpha", LoraPart.TEXT_ENCODER_2, "text_model_x", LoraRole.ALPHA),
        ("text_encoder_2.text_model.x.lora_A.weight", LoraPart.TEXT_ENCODER_2, "text_model_x", LoraRole.DOWN),
    ],
)
def test_names_in_every_layout(name: str, part: LoraPart, layer: str, role: LoraRole) -> None:
    key = read_key(name)
    assert key is not None and (key.part, key.layer, key.role) == (part, layer, role)


def test_numbered_blocks_of_a_unet() -> None:
    """As the file of Stable Diffusion XL's first authors numbers them, two resnets a block."""
    layers = [f"down_blocks.0.resnets.{at}.conv1" for at in (0, 1)]
    attention_layer = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0"
    up, sample = "up_blocks.1.attentions.2.proj_in", "up_blocks.0.upsamplers.0.conv"
    middle, shortcut = "mid_block.resnets.1.conv2", "up_blocks.2.resnets.0.conv_shortcut"
    index = layer_index([*layers, attention_layer, up, sample, middle, shortcut, "down_blocks.0.downsamplers.0.conv"])
    assert index["input_blocks_4_1_transformer_blocks_0_attn1_to_out_0"] == attention_layer
    assert index["output_blocks_5_1_proj_in"] == up
    assert index["output_blocks_2_2_conv"] == sample
    assert index["middle_block_2_out_layers_3"] == middle
    assert index["output_blocks_6_0_skip_connection"] == shortcut
    assert index["input_blocks_3_0_op"] == "down_blocks.0.downsamplers.0.conv"
    assert index["input_blocks_2_0_in_layers_2"] == layers[1]


def test_alpha_is_the_tensors_or_the_headers_or_the_rank(tmp_path: Path) -> None:
    pair = {f"unet.{Q}.lora_A.weight": torch.ones(4, 8), f"unet.{Q}.lora_B.weight": torch.ones(8, 4)}
    told = '{"unet.lora_alpha": 8, "unet.alpha_pattern": {"attn1.to_k": 1}, "unet.use_rslora": true}'
    save_file(pair, tmp_path / "rank.safetensors")
    save_file(pair, tmp_path / "header.safetensors", {"lora_adapter_metadata": told})
    factors = [read_lora(tmp_path / f"{name}.safetensors", LAYERS)[1][0].factor for name in ("rank", "header")]
    assert factors == [1.0, 4.0]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"unet.nowhere.lora_A.weight": (4, 8)}, "'unet.nowhere.lora_A.weight' adapts a layer that the model's"),
        ({f"unet.{Q}.lora_A.weight": (4, 8)}, "stands alone"),
        ({f"unet.{Q}.lora_A.weight": (4, 9), f"unet.{Q}.lora_B.weight": (8, 4)}, r"do not fit .* \[8, 8\]"),
        ({f"unet.{Q}.lora_A.weight": (4, 8), f"unet.{Q}.lora_B.weight": (8, 3)}, "do not fit"),
        ({f"unet.{Q}.lora_A.weight": (4, 8), f"lora_unet_{FLAT}.lora_down.weight": (4, 8)}, "mean the same matrix"),
        ({f"lora_unet_{FLAT}.hada_w1_a": (4, 8)}, "hada_w1_a' is no LoRA's"),
        ({f"unet.{Q}.dora_scale": (8,)}, "dora_scale' is no LoRA's"),
    ],
)
def test_what_does_not_fit_is_named(tensors: dict[str, tuple[int, ...]], message: str, tmp_path: Path) -> None:
    save_file({name: torch.ones(shape) for name, shape in tensors.items()}, tmp_path / "bad.safetensors")
    with pytest.raises(LoraError, match=message):
        read_lora(tmp_path / "bad.safetensors", LAYERS)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """Two adapters of its own, and a shared folder with one more, one of the same name and four that are none."""
    root = tmp_path_factory.mktemp("models")
    model = write_tiny_sd15(root / "sd15")
    shared = root / "shared"
    write_kohya(model, model / "loras" / "style.safetensors", parts=("unet",), chosen=attention, seed=1)
    write_peft(
        model, shared / "text.safetensors", parts=("text_encoder",), chosen=attention, seed=2, alpha=None, rank=2
    )
    write_kohya(model, shared / "style.safetensors", parts=("unet", "text_encoder"), chosen=attention, seed=3)
    save_file({f"transformer.{Q}.lora_A.weight": torch.ones(4, 99)}, shared / "other.safetensors")
    save_file({"lora_te2_text_model_x.alpha": torch.ones(1)}, shared / "second.safetensors")
    (shared / "pickle.pt").write_bytes(b"\x80\x04.")
    (shared / "cut.safetensors").write_bytes((shared / "text.safetensors").read_bytes()[:40])
    loaded = load_source(model)
    return type(loaded)(loaded.manifest, loaded.path, loaded.parts, shared_loras=(shared,))


def test_files_of_the_model_and_of_shared_folders(source: ModelSource) -> None:
    found: dict[str, LoraFile] = {file.name: file for file in find_loras(source)}
    assert list(found) == ["cut", "other", "pickle", "second", "style", "text"]
    style, text = found["style"], found["text"]
    assert style.problem is None and style.path.parent.parent == source.folder and style.rank == 4
    assert style.adapts(Component.DENOISER) and not style.adapts(Component.TEXT_ENCODER)
    assert text.rank == 2 and text.parts == {LoraPart.TEXT_ENCODER} and text.size == text.path.stat().st_size
    problems = {name: file.problem or "" for name, file in found.items()}
    assert "stands alone" in problems["other"]
    assert "text_encoder_2, which the model has not" in problems["second"]
    assert "pickle" in problems["pickle"] and "truncated" in problems["cut"]
