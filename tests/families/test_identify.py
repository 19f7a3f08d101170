"""Families are read from tensor names and shapes."""

from pathlib import Path

import pytest

from families.errors import CheckpointError
from families.sources.identify import find_parts, identify, locate_part
from families.sources.read import read_header
from families.sources.signatures import KNOWN_FAMILIES, Naming
from tests.support.checkpoints import write_sparse

Shapes = dict[str, tuple[int, ...]]


def _ldm_unet(context: int = 768, channels: int = 4, *, linear: bool = False, label: bool = False) -> Shapes:
    projection = (320, 320) if linear else (320, 320, 1, 1)
    return {
        "input_blocks.0.0.weight": (320, channels, 3, 3),
        "time_embed.0.weight": (1280, 320),
        "middle_block.1.proj_in.weight": projection,
        "middle_block.1.transformer_blocks.0.attn2.to_k.weight": (320, context),
        "out.2.weight": (4, 320, 3, 3),
    } | ({"label_emb.0.0.weight": (1280, 2816)} if label else {})


def _unet(context: int = 768, channels: int = 4, *, linear: bool = False, label: bool = False) -> Shapes:
    projection = (320, 320) if linear else (320, 320, 1, 1)
    return {
        "conv_in.weight": (320, channels, 3, 3),
        "time_embedding.linear_1.weight": (1280, 320),
        "mid_block.attentions.0.proj_in.weight": projection,
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight": (320, context),
        "conv_out.weight": (4, 320, 3, 3),
    } | ({"add_embedding.linear_1.weight": (1280, 2816)} if label else {})


LDM_VAE: Shapes = {
    "decoder.conv_in.weight": (512, 4, 3, 3),
    "decoder.mid.block_1.norm1.weight": (512,),
    "decoder.up.0.block.0.norm1.weight": (128,),
}
CLIP: Shapes = {
    "text_model.embeddings.token_embedding.weight": (49408, 768),
    "text_model.encoder.layers.0.self_attn.q_proj.weight": (768, 768),
}
OPEN_CLIP: Shapes = {
    "token_embedding.weight": (49408, 1280),
    "transformer.resblocks.0.attn.in_proj_weight": (3840, 1280),
}
QWEN: Shapes = {"txt_norm.weight": (3584,), "transformer_blocks.0.img_mod.1.weight": (18432, 3072)}
ATTENTION: Shapes = {
    "to_q.weight": (320, 320),
    "to_k.weight": (320, 320),
    "to_v.weight": (320, 320),
    "to_out.0.weight": (320, 320),
    "to_out.0.bias": (320,),
}
FASHN: Shapes = {
    "x_embedder.proj.weight": (1280, 7, 12, 12),
    "garment_embedder.proj.weight": (1280, 4, 12, 12),
    "x_patch_mixer.0.linear1.weight": (8960, 1280),
    "double_blocks.0.img_mod.lin.weight": (7680, 1280),
    "double_blocks.0.img_attn.qkv.weight": (3840, 1280),
    "final_layer.linear.weight": (432, 1280),
}
MODEL, VAE = "model.diffusion_model.", "first_stage_model."


def _under(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


SD1 = _under(MODEL, _ldm_unet()) | _under(VAE, LDM_VAE) | _under("cond_stage_model.transformer.", CLIP)
SD2 = _under(MODEL, _ldm_unet(1024, linear=True)) | _under(VAE, LDM_VAE) | _under("cond_stage_model.model.", OPEN_CLIP)
XL = (
    _under(MODEL, _ldm_unet(2048, linear=True, label=True))
    | _under(VAE, LDM_VAE)
    | _under("conditioner.embedders.0.transformer.", CLIP)
    | _under("conditioner.embedders.1.model.", OPEN_CLIP)
)


@pytest.mark.parametrize(
    ("shapes", "family", "parts"),
    [
        (SD1, "stable-diffusion", {"unet", "vae", "text_encoder"}),
        (XL, "stable-diffusion-xl", {"unet", "vae", "text_encoder", "text_encoder_2"}),
        (_ldm_unet(), "stable-diffusion", {"unet"}),
        (_unet(), "stable-diffusion", {"unet"}),
        (_under(MODEL, _ldm_unet(channels=9)), "stable-diffusion-inpainting", {"unet"}),
        (_unet(2048, 9, linear=True, label=True), "stable-diffusion-xl-inpainting", {"unet"}),
        (_unet(2048, linear=True, label=True), "stable-diffusion-xl", {"unet"}),
        (_ldm_unet(1280, linear=True, label=True), "stable-diffusion-xl-refiner", {"unet"}),
        (_ldm_unet(1024, linear=True), "stable-diffusion-2", {"unet"}),
        (_under("cond_stage_model.model.", OPEN_CLIP), "stable-diffusion-2", {"text_encoder"}),
        (LDM_VAE, "autoencoder-kl", {"vae"}),
        (CLIP, "clip-text", {"text_encoder"}),
        (_under("", {name.removeprefix("text_model."): shape for name, shape in CLIP.items()}), "clip-text",
         {"text_encoder"}),
        ({"single_stream_modulation.lin.weight": (9216, 3072), "double_blocks.0.img_attn.qkv.weight": (9216, 3072)},
         "flux2", {"transformer"}),
        ({"single_stream_modulation.linear.weight": (9216, 3072),
          "single_transformer_blocks.0.attn.to_qkv_mlp_proj.weight": (27648, 3072)}, "flux2", {"transformer"}),
        (_under(MODEL, {"double_blocks.0.img_mod.lin.weight": (18432, 3072),
                        "double_blocks.0.img_attn.qkv.weight": (9216, 3072)}), "flux1", {"transformer"}),
        (QWEN, "qwen-image", {"transformer"}),
        (QWEN | {"time_text_embed.addition_t_embedding.weight": (2, 3072)}, "qwen-image-layered", {"transformer"}),
        ({"joint_blocks.0.x_block.attn.qkv.weight": (4608, 1536)}, "stable-diffusion-3", {"transformer"}),
        (_under("0.", ATTENTION) | _under("7.", ATTENTION), "catvton", {"unet"}),
        (_under("down_blocks.0.attentions.0.transformer_blocks.0.attn1.", ATTENTION), "catvton", {"unet"}),
        ({name: shape for name, shape in _unet(channels=9).items() if "attn2" not in name}, "catvton", {"unet"}),
        (_unet(channels=9), "stable-diffusion-inpainting", {"unet"}),
        (FASHN, "fashn-vton", {"transformer"}),
    ],
)  # fmt: skip
def test_the_tensors_tell_the_family(shapes: Shapes, family: str, parts: set[str], tmp_path: Path) -> None:
    checkpoint = identify(write_sparse(tmp_path / "flux2-sdxl-qwen.safetensors", shapes))
    assert (checkpoint.family, {part.name for part in checkpoint.parts}) == (family, parts)


def test_a_part_is_found_among_others(tmp_path: Path) -> None:
    """A UNet without a prefix beside an autoencoder with one: each has its own tensors."""
    header = read_header(write_sparse(tmp_path / "m.safetensors", _ldm_unet() | _under(VAE, LDM_VAE)))
    unet, vae = locate_part(header, "unet"), locate_part(header, "vae")
    assert (unet.part.prefix, unet.part.naming) == ("", Naming.LDM)
    assert {entry.name for entry in unet.entries} == set(_ldm_unet())
    assert {entry.name for entry in vae.entries} == set(_under(VAE, LDM_VAE))


def test_unknown_tensors_list_the_known_families(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "sdxl.safetensors", {"lora_unet.alpha": (), "lora_unet.down": (4, 8)})
    with pytest.raises(CheckpointError, match=r"no known model.*lora_unet\.alpha") as caught:
        identify(path)
    assert all(family in str(caught.value) for family in KNOWN_FAMILIES)
    assert find_parts(read_header(path)) == ()


@pytest.mark.parametrize(
    "shapes",
    [
        _under("0.", ATTENTION | {"to_q.weight": (64, 64)}),
        {name: shape for name, shape in _unet().items() if "attn2" not in name and "conv_in" not in name},
    ],
)
def test_attention_alone_is_no_try_on_without_its_width(shapes: Shapes, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no known model"):
        identify(write_sparse(tmp_path / "catvton.safetensors", shapes))


def test_parts_that_do_not_belong_together(tmp_path: Path) -> None:
    shapes = _under("cond_stage_model.transformer.", CLIP) | _under("conditioner.embedders.1.model.", OPEN_CLIP)
    with pytest.raises(CheckpointError, match="mixes parts of stable-diffusion, stable-diffusion-xl"):
        identify(write_sparse(tmp_path / "m.safetensors", shapes))
