"""What all trainers share: where they write, which device they use, how they save and come back."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wardrobe.training import parallel

log = logging.getLogger(__name__)

DEFAULT_RUNTIME = Path("runtime/training")
CHECKPOINT_SECONDS = 150.0


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


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything a run needs to go on as if it had never stopped.

    `modules` and `optimizer` are state dicts. No random state is kept: each step seeds its own (`step_rng`).
    """

    step: int
    modules: dict[str, dict[str, torch.Tensor]]
    optimizer: dict[str, object]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write beside, then rename: a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(
        {
            "step": checkpoint.step,
            "modules": checkpoint.modules,
            "optimizer": checkpoint.optimizer,
        },
        partial,
    )
    partial.replace(path)


def load_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint at `path`, or None where there is none yet."""
    if not path.exists():
        return None
    # weights_only: the file holds tensors, numbers and strings, nothing that runs
    state = torch.load(path, map_location="cpu", weights_only=True)
    log.info("resuming %s at step %d", path.name, state["step"])
    return Checkpoint(state["step"], state["modules"], state["optimizer"])
