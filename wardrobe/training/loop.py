"""The loop that all trainers run in: losses told, checkpoints and previews written on the way and at the end."""

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from wardrobe.training import parallel
from wardrobe.training.checkpoints import Resumable

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 150.0
PREVIEW_SECONDS = 480.0
_TOLD_EVERY = 50


def run(
    trainer: Resumable, losses: Iterable[float], checkpoint: Path, preview: Callable[[], None] = lambda: None
) -> bool:
    """Go through `losses`, each an update of the trainer, and leave the group of processes.

    Returns whether this process leads: whatever else is to be written, it alone writes.
    """
    leads = parallel.rank() == 0
    saved = previewed = time.monotonic()
    recent: list[float] = []
    for loss in losses:
        recent.append(loss)
        if leads and trainer.step % _TOLD_EVERY == 0:
            log.info("step %d loss %.4f", trainer.step, sum(recent) / len(recent))
            recent.clear()
        if leads and time.monotonic() - saved > CHECKPOINT_SECONDS:
            trainer.save(checkpoint)
            saved = time.monotonic()
        if leads and time.monotonic() - previewed > PREVIEW_SECONDS:
            preview()
            previewed = time.monotonic()
    parallel.stop()
    if leads:
        trainer.save(checkpoint)
        preview()
    return leads
