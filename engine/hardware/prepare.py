"""Makes a module do as its plan says."""

import logging
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.autoencoders.vae import AutoencoderMixin
from torch import nn

from engine.hardware.offload import offload
from engine.hardware.policy import TorchPlan
from families.torch_options import AttentionSlicing, CompileMode, Offload

_log = logging.getLogger(__name__)


def prepare(module: nn.Module, plan: TorchPlan) -> nn.Module:
    """The module on its device, whose weights have the plan's type already; changed in place."""
    if plan.vae_slicing:
        for vae in _of(module, AutoencoderMixin, "vae_slicing"):
            vae.enable_slicing()
    if plan.vae_tiling:
        for vae in _of(module, AutoencoderMixin, "vae_tiling"):
            vae.enable_tiling()
    if plan.attention_slicing is not AttentionSlicing.NONE:
        for unet in _of(module, UNet2DConditionModel, "attention_slicing"):
            unet.set_attention_slice(plan.attention_slicing.value)
    # oneDNN and cuDNN convolve channels-last without reordering every activation.
    if plan.offload is Offload.NONE:
        module = module.to(device=plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    else:
        offload(module, plan.device, plan.offload)
    if plan.compile is not CompileMode.NONE:
        module.compile(mode=None if plan.compile is CompileMode.DEFAULT else plan.compile.value)
    return module


def _of(module: nn.Module, kind: type[nn.Module], option: str) -> list[Any]:
    """The parts of this kind; an option that no part has is told of."""
    found = [part for part in module.modules() if isinstance(part, kind)]
    if not found:
        _log.info("%s does nothing for %s", option, type(module).__name__)
    return found
