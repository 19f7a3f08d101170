"""What all trainers share: where they write, which device they use, their randomness and their averaged weights."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from wardrobe.training import parallel

DEFAULT_RUNTIME = Path("runtime/training")


def runtime_folder(chosen: Path | None) -> Path:
    """The folder for corpora, checkpoints and previews; it is not part of the repository."""
    folder = chosen or DEFAULT_RUNTIME
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def pick_device() -> torch.device:
    """CUDA when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def step_rng(seed: int, step: int) -> tuple[np.random.Generator, torch.Generator]:
    """Randomness as a function of the step and process: a resumed run repeats what an unbroken one does."""
    place = step * parallel.world_size() + parallel.rank()
    return np.random.default_rng([seed, place]), torch.Generator().manual_seed(seed * 1_000_003 + place)


@torch.no_grad()
def follow(average: nn.Module, trained: nn.Module, step: int, decay: float) -> None:
    """One step of an exponential moving average, faster at first so that the first weights are soon forgotten."""
    share = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(trained.parameters()), 1 - share)
