"""Writes a tiny random Stable Diffusion XL folder: every kind of block of the published model, both tokenizers."""

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from tests.support.tiny_clip import clip_encoder, write_tokenizer
from tests.support.tiny_sd15 import listen, tiny_vae, write_json

_FIRST, _SECOND = 16, 24
_WAVES = 8


def write_tiny_sdxl(folder: Path, *, turbo: bool = False) -> Path:
    """A StableDiffusionXLPipeline folder. Pictures are 64 pixels on a side unless asked otherwise."""
    torch.manual_seed(10)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(2, 2, 4),
        cross_attention_dim=_FIRST + _SECOND,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=_WAVES,
        projection_class_embeddings_input_dim=6 * _WAVES + _SECOND,
        norm_num_groups=4,
    )
    listen(unet)
    unet.save_pretrained(folder / "unet")
    tiny_vae(0.13025).save_pretrained(folder / "vae")
    clip_encoder(_FIRST).save_pretrained(folder / "text_encoder")
    clip_encoder(_SECOND, projection=True, activation="gelu").save_pretrained(folder / "text_encoder_2")
    write_tokenizer(folder / "tokenizer")
    write_tokenizer(folder / "tokenizer_2", pad_token="!")
    scheduler = _TURBO if turbo else _SCHEDULER
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler)
    write_json(folder / "model_index.json", _INDEX | {"scheduler": ["diffusers", scheduler["_class_name"]]})
    return folder


_SCHEDULER: dict[str, object] = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
_TURBO = _SCHEDULER | {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}
_INDEX: dict[str, object] = {
    "_class_name": "StableDiffusionXLPipeline",
    "feature_extractor": [None, None],
    "force_zeros_for_empty_prompt": True,
    "image_encoder": [None, None],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
