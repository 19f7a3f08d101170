"""What diffusers itself saves is recognised: names and shapes of its own modules, so a rename there fails here."""

from pathlib import Path

import pytest
import torch
from diffusers.models import (
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DConditionModel,
)
from torch import nn

from families.sources.identify import identify
from tests.support.checkpoints import write_sparse

_HEADS = {"num_layers": 2, "attention_head_dim": 16, "num_attention_heads": 2, "joint_attention_dim": 32}


def _sd3() -> nn.Module:
    return SD3Transformer2DModel(sample_size=32, caption_projection_dim=32, pooled_projection_dim=16, **_HEADS)


def _flux() -> nn.Module:
    return FluxTransformer2DModel(num_single_layers=2, pooled_projection_dim=16, axes_dims_rope=(4, 6, 6), **_HEADS)


def _flux2() -> nn.Module:
    return Flux2Transformer2DModel(num_single_layers=2, **_HEADS)


def _qwen() -> nn.Module:
    return QwenImageTransformer2DModel(axes_dims_rope=(8, 4, 4), **_HEADS)


def _qwen_layered() -> nn.Module:
    return QwenImageTransformer2DModel(axes_dims_rope=(8, 4, 4), use_additional_t_cond=True, **_HEADS)


def _inpainting() -> nn.Module:
    return UNet2DConditionModel(in_channels=9, cross_attention_dim=768)


def _catvton() -> nn.Module:
    """Its authors' training keeps every module inside of a self-attention in one list, by the module's number."""
    return nn.ModuleList(module for name, module in _inpainting().named_modules() if "attn1" in name)


def _catvton_whole() -> nn.Module:
    unet = _inpainting()
    for module in unet.modules():
        if hasattr(module, "attn2"):
            module.attn2 = None
    return unet


@pytest.mark.parametrize(
    ("build", "family"),
    [
        (_sd3, "stable-diffusion-3"),
        (_flux, "flux1"),
        (_flux2, "flux2"),
        (_qwen, "qwen-image"),
        (_qwen_layered, "qwen-image-layered"),
        (_inpainting, "stable-diffusion-inpainting"),
        (_catvton, "catvton"),
        (_catvton_whole, "catvton"),
    ],
)
def test_a_module_as_it_is_saved(build: object, family: str, tmp_path: Path) -> None:
    assert callable(build)
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
    assert identify(write_sparse(tmp_path / "model.safetensors", shapes)).family == family
