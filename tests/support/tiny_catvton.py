"""Writes a tiny random CatVTON folder: an inpainting UNet whose cross-attention is not there, and a VAE."""

import json
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from tests.support.tiny_sd15 import listen, tiny_vae, write_json

CHANNELS = 4
BLOCKS = (8, 16, 16, 16)
FEW_BLOCKS = (8, 16)
"""Compiles sooner."""


def write_tiny_catvton(folder: Path, *, blocks: tuple[int, ...] = BLOCKS, side: int = 64) -> Path:
    """A CatVTONPipeline folder as a trainer saves it, without the projections of cross-attention."""
    unet = tiny_unet(blocks)
    unet.save_pretrained(folder / "unet")
    bare = {name: tensor for name, tensor in unet.state_dict().items() if ".attn2." not in name}
    save_file(bare, folder / "unet" / "diffusion_pytorch_model.safetensors")
    tiny_vae(0.18215).save_pretrained(folder / "vae")
    write_scheduler(folder)
    write_json(folder / "model_index.json", INDEX)
    write_json(folder / "triptych.json", {"default_side": side, "maximum_side": 256})
    return folder


def tiny_unet(blocks: tuple[int, ...] = BLOCKS) -> UNet2DConditionModel:
    """Stable Diffusion 1.5 inpainting's architecture, cross-attention and all; `blocks` are its widths."""
    torch.manual_seed(23)
    down = ("CrossAttnDownBlock2D",) * (len(blocks) - 1)
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=2 * CHANNELS + 1,
        out_channels=CHANNELS,
        block_out_channels=blocks,
        down_block_types=(*down, "DownBlock2D"),
        up_block_types=("UpBlock2D", *(name.replace("Down", "Up") for name in down)),
        layers_per_block=1,
        cross_attention_dim=24,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    listen(unet)
    return unet


def write_scheduler(folder: Path) -> None:
    """The base model's."""
    write_json(folder / "scheduler" / "scheduler_config.json", _SCHEDULER)


def read_json(path: Path) -> dict[str, object]:
    """A JSON object."""
    loaded: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


_SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
INDEX = {
    "_class_name": "CatVTONPipeline",
    "scheduler": ["diffusers", "DDIMScheduler"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
