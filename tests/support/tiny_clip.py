"""CLIP's tokenizer and text encoders, small: the embedded model's real vocabulary, published prompt length."""

import json
import shutil
from pathlib import Path

import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

LENGTH = 77
_SOURCE = Path(__file__).parents[2] / "wardrobe" / "weights" / "wardrobe" / "tokenizer"
_WORDS = 746


def write_tokenizer(folder: Path, pad_token: str = "<|endoftext|>") -> None:
    """Files for the fast libraries and the others. SDXL's second tokenizer pads with `!`."""
    shutil.copytree(_SOURCE, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config |= {"pad_token": pad_token, "model_max_length": LENGTH}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def clip_encoder(width: int, *, projection: bool = False, activation: str = "quick_gelu") -> nn.Module:
    """A random encoder of the present seed, whose answers tell prompts apart and have a mean, as trained ones do."""
    config = CLIPTextConfig(
        vocab_size=_WORDS,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=LENGTH,
        projection_dim=width,
        hidden_act=activation,
        bos_token_id=_WORDS - 2,
        eos_token_id=_WORDS - 1,
        pad_token_id=_WORDS - 1,
    )
    encoder = CLIPTextModelWithProjection(config) if projection else CLIPTextModel(config)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "embedding" in name:
                parameter.normal_(mean=0.3)
            elif parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
            else:
                parameter.normal_(std=parameter.shape[1] ** -0.5)
    return encoder.eval()
