"""Data parallelism in a few lines: `torchrun --nproc-per-node 2 -m wardrobe.training.vae`.

On a shared CPU two single-threaded processes that meet once a step beat one process with two threads, whose
threads meet at every operator and each time wait for the one that was descheduled.
"""

import os
from collections.abc import Iterable
from datetime import timedelta

import torch
import torch.distributed as dist


def start() -> None:
    """Join the group that torchrun describes in the environment; alone where there is none."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        # hours: a run that was paused for a while is not a run that failed
        dist.init_process_group("gloo", timeout=timedelta(hours=12))


def stop() -> None:
    """Leave the group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def barrier() -> None:
    """Wait until all processes are here."""
    if dist.is_initialized():
        dist.barrier()


def rank() -> int:
    """The number of this process, 0 for the leading one."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def agreed(value: float) -> float:
    """What the leading process says the value is: clocks differ, and all must stop at the same step."""
    if world_size() == 1:
        return value
    said = torch.tensor([value], dtype=torch.float64)
    dist.broadcast(said, src=0)
    return float(said)


@torch.no_grad()
def average_gradients(parameters: Iterable[torch.Tensor]) -> None:
    """Replace each gradient by the mean over all processes, in one message."""
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    pieces = torch.split(flat, [gradient.numel() for gradient in gradients])
    torch._foreach_copy_(gradients, [piece.view_as(to) for piece, to in zip(pieces, gradients, strict=True)])
