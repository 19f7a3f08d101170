"""Which module class a family's component is, and where its weights come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from engine.checkpoints import Alter, open_part
from engine.lora.layers import adaptable_layers
from engine.lora.merge import merge_adapter
from engine.modules import (
    catvton,
    fashn_vton,
    flux2,
    qwen_image,
    qwen_image_edit,
    qwen_image_layered,
    sd3,
    sdxl,
    stable_diffusion,
)
from families.catalog import FAMILIES, ModelSource
from families.catvton import FAMILY as CATVTON
from families.fashn_vton import FAMILY as FASHN_VTON
from families.flux2 import FAMILY as FLUX_2
from families.manifest import Component
from families.qwen_image import FAMILY as QWEN_IMAGE
from families.qwen_image_edit import FAMILY as QWEN_IMAGE_EDIT
from families.qwen_image_layered import FAMILY as QWEN_IMAGE_LAYERED
from families.sd3 import FAMILY as STABLE_DIFFUSION_3
from families.sd3 import FAMILY_WITHOUT_T5
from families.sdxl import FAMILY as SDXL
from families.sources.weights import PartWeights, folder_weights
from families.stable_diffusion import FAMILY as STABLE_DIFFUSION

# Each makes a component of the parts that `families.catalog` names for it. A new family is a new file and one entry.
_WRAPPERS: dict[str, dict[Component, Callable[..., nn.Module]]] = {
    STABLE_DIFFUSION: {
        Component.TEXT_ENCODER: stable_diffusion.TextEncoder,
        Component.DENOISER: stable_diffusion.Denoiser,
        Component.VAE_ENCODER: stable_diffusion.VaeEncoder,
        Component.VAE_DECODER: stable_diffusion.VaeDecoder,
    },
    SDXL: {
        Component.TEXT_ENCODER: sdxl.TextEncoder,
        Component.DENOISER: sdxl.Denoiser,
        Component.VAE_ENCODER: stable_diffusion.VaeEncoder,
        Component.VAE_DECODER: stable_diffusion.VaeDecoder,
    },
    QWEN_IMAGE: {
        Component.TEXT_ENCODER: qwen_image.TextEncoder,
        Component.DENOISER: qwen_image.Denoiser,
        Component.VAE_ENCODER: qwen_image.VaeEncoder,
        Component.VAE_DECODER: qwen_image.VaeDecoder,
    },
    QWEN_IMAGE_EDIT: {
        Component.TEXT_ENCODER: qwen_image_edit.TextEncoder,
        Component.DENOISER: qwen_image_edit.Denoiser,
        Component.VAE_ENCODER: qwen_image.VaeEncoder,
        Component.VAE_DECODER: qwen_image.VaeDecoder,
    },
    QWEN_IMAGE_LAYERED: {
        Component.TEXT_ENCODER: qwen_image.TextEncoder,
        Component.DENOISER: qwen_image_layered.Denoiser,
        Component.VAE_ENCODER: qwen_image.VaeEncoder,
        Component.VAE_DECODER: qwen_image.VaeDecoder,
    },
    STABLE_DIFFUSION_3: {
        Component.TEXT_ENCODER: sd3.TextEncoder,
        Component.DENOISER: sd3.Denoiser,
        Component.VAE_ENCODER: stable_diffusion.VaeEncoder,
        Component.VAE_DECODER: stable_diffusion.VaeDecoder,
    },
    FAMILY_WITHOUT_T5: {
        Component.TEXT_ENCODER: sd3.ClipTextEncoder,
        Component.DENOISER: sd3.ClipDenoiser,
        Component.VAE_ENCODER: stable_diffusion.VaeEncoder,
        Component.VAE_DECODER: stable_diffusion.VaeDecoder,
    },
    CATVTON: {
        Component.DENOISER: catvton.Denoiser,
        Component.VAE_ENCODER: stable_diffusion.VaeEncoder,
        Component.VAE_DECODER: stable_diffusion.VaeDecoder,
    },
    FASHN_VTON: {Component.DENOISER: fashn_vton.Denoiser},
    FLUX_2: {
        Component.TEXT_ENCODER: flux2.TextEncoder,
        Component.DENOISER: flux2.Denoiser,
        Component.VAE_ENCODER: flux2.VaeEncoder,
        Component.VAE_DECODER: flux2.VaeDecoder,
    },
}
# Parts that a family has in another shape than the library which builds them.
_ALTERED: dict[str, dict[str, Alter]] = {CATVTON: {"unet": catvton.without_cross_attention}}


@dataclass(frozen=True, slots=True)
class LoadedComponent:
    """A component's module, and the parts that it was made of by diffusers' folder names."""

    module: nn.Module
    parts: Mapping[str, nn.Module]


def load_component(
    family: str,
    component: Component,
    folder: Path,
    dtype: torch.dtype = torch.float32,
    *,
    keep_quantised: bool = False,
) -> LoadedComponent:
    """As `load_module`, with the parts."""
    weights = tuple(folder_weights(folder, part) for part in FAMILIES[family].parts[component])
    return _load(family, component, weights, dtype, keep_quantised)


def load_module(
    family: str,
    component: Component,
    folder: Path,
    dtype: torch.dtype = torch.float32,
    *,
    keep_quantised: bool = False,
) -> nn.Module:
    """Load one component of a folder laid out like diffusers' (`<folder>/unet/`, ...), ready for inference.

    `keep_quantised` leaves the matrices of a GGUF in their blocks. Raises CheckpointError.
    """
    return load_component(family, component, folder, dtype, keep_quantised=keep_quantised).module


def load_source_module(
    source: ModelSource, component: Component, dtype: torch.dtype = torch.float32, *, keep_quantised: bool = False
) -> nn.Module:
    """Load one component of a model from wherever its source keeps it, with what is merged into it; otherwise as
    `load_module`. Raises LoraError too.
    """
    loaded = _load(source.manifest.family, component, source.weights(component), dtype, keep_quantised)
    for lora in source.merged:
        if lora.changes(component):
            merge_adapter(adaptable_layers(loaded.module, loaded.parts), lora.path, lora.scale)
    return loaded.module


def _load(
    family: str, component: Component, weights: tuple[PartWeights, ...], dtype: torch.dtype, keep_quantised: bool
) -> LoadedComponent:
    altered = _ALTERED.get(family, {})
    parts = {
        part.name: open_part(part, dtype, keep_quantised=keep_quantised, alter=altered.get(part.name))
        for part in weights
    }
    module = _WRAPPERS[family][component](*parts.values())
    return LoadedComponent(module.eval().requires_grad_(False), parts)
