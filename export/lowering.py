"""Rewrites of a loaded torch module that keep its numbers and make its graph general or fast.

Every artefact is compared with the untouched module afterwards, so a rewrite that changes a number cannot be published.
"""

from torch import nn

_COUNTER = "num_upsamplers"
# Any latent side is smaller than 2**40, so "is the side a multiple of 2**num_upsamplers?" is always no.
_MANY_UPSAMPLERS = 40


def lower(module: nn.Module) -> None:
    """Prepare `module`, in place, for `torch.onnx.export`."""
    _always_forward_upsample_size(module)


def _always_forward_upsample_size(module: nn.Module) -> None:
    """Make diffusers' UNet size every upsampling by its skip connection.

    `UNet2DConditionModel.forward` does that only where a latent side is no multiple of 2**num_upsamplers. Tracing
    would bake one side of the branch; the explicit size is right for every side and equal on multiples.
    """
    for part in module.modules():
        if hasattr(part, _COUNTER):
            setattr(part, _COUNTER, _MANY_UPSAMPLERS)
