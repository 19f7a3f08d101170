"""Builds a part without weights from its configuration."""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from families.errors import CheckpointError

_POSITIONS = "position_ids"
_FREQUENCIES = "inv_freq"

# A new architecture is one entry in one of the three. Libraries hold hundreds: only what is asked for is imported.
_DIFFUSERS = frozenset({
    "AutoencoderKL",
    "AutoencoderKLFlux2",
    "AutoencoderKLQwenImage",
    "Flux2Transformer2DModel",
    "QwenImageTransformer2DModel",
    "SD3Transformer2DModel",
    "UNet2DConditionModel",
})  # fmt: skip
_TRANSFORMERS: Mapping[str, str] = MappingProxyType({
    "CLIPTextModel": "CLIPTextModel",
    "CLIPTextModelWithProjection": "CLIPTextModelWithProjection",
    "Qwen2_5_VLForConditionalGeneration": "Qwen2_5_VLModel",
    "Qwen3ForCausalLM": "Qwen3Model",
    "T5EncoderModel": "T5EncoderModel",
})  # fmt: skip
"""The class that is built for each that configurations name: hidden states need no language model's head."""

_OWN: Mapping[str, str] = MappingProxyType({
    "FashnVtonTransformer": "engine.modules.fashn_vton_transformer",
})  # fmt: skip
"""Architectures that no library has: the module of each."""

_USUAL = {
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "CLIPTextModel",
    "text_encoder_2": "CLIPTextModelWithProjection",
}
"""Architectures of parts whose configurations do not name theirs."""


def _architecture(part: str, config: dict[str, Any]) -> str:
    """diffusers writes `_class_name`, transformers `architectures`."""
    named = config.get("_class_name") or next(iter(config.get("architectures") or ()), None)
    return str(named or _USUAL[part])


def _build(architecture: str, config: dict[str, Any]) -> nn.Module:
    """The module of this name. Raises KeyError for one that is not known."""
    if architecture in _DIFFUSERS:
        module: nn.Module = getattr(importlib.import_module("diffusers"), architecture).from_config(config)
        return module
    if architecture in _OWN:
        module = getattr(importlib.import_module(_OWN[architecture]), architecture).from_config(config)
        return module
    kind = getattr(importlib.import_module("transformers"), _TRANSFORMERS[architecture])
    module = kind(kind.config_class.from_dict(config))
    return module


def empty_part(part: str, config: Path) -> nn.Module:
    """The module that `config` describes; its parameters have shapes and no memory. Raises CheckpointError."""
    try:
        loaded = json.loads(config.read_text(encoding="utf-8"))
        if not isinstance(loaded, dict):  # a text would be taken for a place to fetch one from
            raise TypeError("it is no JSON object")
        with torch.device("meta"):
            module = _build(_architecture(part, loaded), loaded)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{config} does not describe a {part} that can be built: {error}") from error
    for owner in module.modules():
        if _POSITIONS in owner._buffers:  # counted, not learned, so no file holds them
            length = owner._buffers[_POSITIONS].shape[-1]  # type: ignore[union-attr]
            owner._buffers[_POSITIONS] = torch.arange(length)[None]
        if _FREQUENCIES in owner._buffers:  # a rotary embedding's: computed from the configuration
            owner._buffers.update(type(owner)(owner.config)._buffers)
    return module.eval().requires_grad_(False)
