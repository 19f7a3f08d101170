"""Which module class a family's component is."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from engine.modules import stable_diffusion
from families.manifest import Component
from families.stable_diffusion import FAMILY as STABLE_DIFFUSION

# A new family is a new file and one entry here.
_LOADERS: dict[str, dict[Component, Callable[[Path], nn.Module]]] = {
    STABLE_DIFFUSION: {
        Component.TEXT_ENCODER: stable_diffusion.TextEncoder.load,
        Component.DENOISER: stable_diffusion.Denoiser.load,
        Component.VAE_DECODER: stable_diffusion.VaeDecoder.load,
    },
}


def load_module(family: str, component: Component, folder: Path) -> nn.Module:
    """Load one component of the diffusers folder `folder` in float32, ready for inference."""
    return _LOADERS[family][component](folder).eval().requires_grad_(False)
