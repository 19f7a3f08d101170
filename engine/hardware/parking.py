"""A module that leaves its device for host memory, and comes back without its files being read again."""

import itertools

import torch
from torch import nn

from engine.hardware.policy import TorchPlan
from families.torch_options import CompileMode, Offload

_HOST = torch.device("cpu")


def can_park(plan: TorchPlan) -> bool:
    """Whether the module's weights lie on a device with memory of its own, and nothing holds them there."""
    has_memory = plan.device.type == "cuda"
    return has_memory and plan.offload is Offload.NONE and plan.compile is CompileMode.NONE


def park(module: nn.Module) -> int:
    """Move weights and buffers to host memory, layer by layer; the bytes that they take there."""
    module.to(_HOST)
    return sum(tensor.nbytes for tensor in itertools.chain(module.parameters(), module.buffers()))


def unpark(module: nn.Module, device: torch.device) -> None:
    """Move them back. Where the device has no room for all, all are in host memory again, and the error is raised."""
    try:
        module.to(device)
    except BaseException:
        module.to(_HOST)
        raise
