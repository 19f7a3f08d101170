"""Writes a tiny random Qwen-Image-Layered folder: the real architectures, some hundred thousand parameters."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import QwenImagePipeline

from tests.support.tiny_qwen_image import (
    tiny_scheduler,
    tiny_text_encoder,
    tiny_tokenizer,
    tiny_transformer,
    tiny_vae,
)

LAYERED_CHANNELS = 8
"""Of the autoencoder's latents. Not as many as an RGBA picture has: diffusers' pipeline would take it for latents."""


def write_tiny_qwen_image_layered(
    folder: Path, *, seed: int = 0, side: int = 64, blocks: int = 2, layers: dict[str, Any] | None = None
) -> Path:
    """A diffusers QwenImageLayeredPipeline folder (fp32 safetensors, fast tokenizer) for pictures of about `side`
    squared; 16 pixels a latent cell. `layers`: what its card says of them besides.
    """
    torch.manual_seed(seed)
    tokenizer = tiny_tokenizer()
    QwenImagePipeline(
        scheduler=tiny_scheduler(),
        vae=tiny_vae(channels=LAYERED_CHANNELS, colours=4),
        text_encoder=tiny_text_encoder(tokenizer),
        tokenizer=tokenizer,
        transformer=tiny_transformer(channels=LAYERED_CHANNELS, blocks=blocks, layered=True),
    ).save_pretrained(folder)
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index["_class_name"] = "QwenImageLayeredPipeline"
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    card = {"default_side": side, "layers": {"resolutions": [side]} | (layers or {})}
    (folder / "triptych.json").write_text(json.dumps(card), encoding="utf-8")
    return folder
