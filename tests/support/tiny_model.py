"""Writes a tiny random Stable Diffusion folder: the real architectures, a few thousand parameters."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

TEXT_LENGTH = 16
TEXT_WIDTH = 32
_BEGIN, _END, _PAD = 0, 1, 2
_WORDS = ("a", "red", "blue", "green", "person", "in", "top", "dress", "jeans", "striped", "plain", "dotted")


def write_tiny_model(folder: Path, *, prediction: str = "v_prediction", seed: int = 0, sample_size: int = 8) -> Path:
    """A diffusers StableDiffusionPipeline folder (fp32 safetensors, fast tokenizer) that loads in milliseconds.

    Pictures are 8 x `sample_size` on a side: the VAE shrinks by 8, latents have 4 channels.
    """
    torch.manual_seed(seed)
    _unet(sample_size).save_pretrained(folder / "unet")
    _vae(sample_size * 8).save_pretrained(folder / "vae")
    _text_encoder().save_pretrained(folder / "text_encoder")
    _write_tokenizer(folder / "tokenizer")
    _write_json(folder / "scheduler" / "scheduler_config.json", _scheduler_config(prediction))
    _write_json(folder / "model_index.json", _INDEX)
    return folder


def _unet(sample_size: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=8,
        norm_num_groups=8,
    )


def _vae(sample_size: int) -> AutoencoderKL:
    return AutoencoderKL(
        sample_size=sample_size,
        block_out_channels=(8, 8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        scaling_factor=0.9,
    )


def _text_encoder() -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(_WORDS) + 3,
        hidden_size=TEXT_WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TEXT_LENGTH,
        bos_token_id=_BEGIN,
        eos_token_id=_END,
        pad_token_id=_PAD,
    )
    return CLIPTextModel(config)


def _scheduler_config(prediction: str) -> dict[str, object]:
    return {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.02,
        "beta_schedule": "scaled_linear",
        "prediction_type": prediction,
        "timestep_spacing": "leading",
        "steps_offset": 1,
        "set_alpha_to_one": False,
        "clip_sample": False,
    }


_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def _write_tokenizer(folder: Path) -> None:
    """A word-level tokenizer in the `tokenizers` format, with CLIP's special tokens."""
    special = ["<|startoftext|>", "<|endoftext|>", "<|pad|>"]
    vocabulary = {word: index for index, word in enumerate([*special, *_WORDS])}
    added = [
        {"id": index, "content": token, "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": False, "special": True}
        for index, token in enumerate(special)
    ]
    _write_json(
        folder / "tokenizer.json",
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added,
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": {
                "type": "RobertaProcessing",
                "sep": [special[1], _END],
                "cls": [special[0], _BEGIN],
                "trim_offsets": False,
                "add_prefix_space": False,
            },
            "decoder": None,
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": special[1]},
        },
    )
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": special[0],
            "eos_token": special[1],
            "unk_token": special[1],
            "pad_token": special[2],
            "model_max_length": TEXT_LENGTH,
        },
    )


def _write_json(path: Path, value: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
