"""How trainers save themselves and come back."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

log = logging.getLogger(__name__)

State = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a trainer a checkpoint keeps, by names that later code finds it under."""

    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, torch.optim.Optimizer]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run as it was saved: state dicts by name."""

    step: int
    modules: dict[str, State]
    optimizers: dict[str, dict[str, object]]


class Resumable(ABC):
    """A run that goes on from its checkpoint as if it had never stopped: each step seeds its own randomness."""

    step: int = 0

    @abstractmethod
    def parts(self) -> Parts:
        """What to keep."""

    def restored(self) -> None:  # noqa: B027 - most have nothing to do here
        """Bring up to date what is not kept."""

    def save(self, path: Path) -> None:
        """Write beside, then rename: a reader sees the old file or the new one, never half of one."""
        parts = self.parts()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "step": self.step,
                "modules": {name: module.state_dict() for name, module in parts.modules.items()},
                "optimizers": {name: optimizer.state_dict() for name, optimizer in parts.optimizers.items()},
            },
            partial,
        )
        partial.replace(path)

    def restore(self, path: Path) -> bool:
        """Go on from a checkpoint; False where there is none."""
        checkpoint = load_checkpoint(path)
        if checkpoint is None:
            return False
        parts = self.parts()
        for name, module in parts.modules.items():
            module.load_state_dict(checkpoint.modules[name])
        for name, optimizer in parts.optimizers.items():
            optimizer.load_state_dict(checkpoint.optimizers[name])
        self.step = checkpoint.step
        self.restored()
        return True


def load_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint at `path`, or None where there is none yet."""
    if not path.exists():
        return None
    # weights_only: the file holds tensors, numbers and strings, nothing that runs
    state = torch.load(path, map_location="cpu", weights_only=True)
    log.info("resuming %s at step %d", path.name, state["step"])
    return Checkpoint(state["step"], state["modules"], state["optimizers"])
