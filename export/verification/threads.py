"""How many threads the checks may use."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

# Below this, threads gain seconds on an idle machine and lose minutes on a busy one: each waits for the slowest.
_SMALL_PARAMETERS = 200_000_000


def threads_for(module: nn.Module) -> int:
    """Intra-op threads for running `module`."""
    small = sum(parameter.numel() for parameter in module.parameters()) < _SMALL_PARAMETERS
    return 1 if small else torch.get_num_threads()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """torch runs on `count` threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
