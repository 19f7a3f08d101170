"""Writes a tiny random Stable Diffusion 1.5 folder: every kind of block that the published model has."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from tests.support.tiny_clip import clip_encoder, write_tokenizer

_TEXT_WIDTH = 24


def write_tiny_sd15(folder: Path) -> Path:
    """A StableDiffusionPipeline folder. Pictures are 64 pixels on a side unless asked otherwise."""
    torch.manual_seed(15)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16, 16, 16),
        layers_per_block=1,
        cross_attention_dim=_TEXT_WIDTH,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    listen(unet)
    unet.save_pretrained(folder / "unet")
    tiny_vae(0.18215).save_pretrained(folder / "vae")
    clip_encoder(_TEXT_WIDTH).save_pretrained(folder / "text_encoder")
    write_tokenizer(folder / "tokenizer")
    write_json(folder / "scheduler" / "scheduler_config.json", _SCHEDULER)
    write_json(folder / "model_index.json", _INDEX)
    return folder


def listen(unet: UNet2DConditionModel) -> None:
    """Make a random UNet follow its prompt about as strongly as a trained one does."""
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "attn2" in name and name.endswith("weight"):
                parameter.mul_(2)


def tiny_vae(scaling_factor: float) -> AutoencoderKL:
    """Shrinks by 8 to four channels."""
    return AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=scaling_factor,
    )


def write_json(path: Path, value: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


_SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}
_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
