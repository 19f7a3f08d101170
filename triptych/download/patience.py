"""How often something is tried again, and how long we wait in between."""

import logging
import time
from dataclasses import dataclass

from triptych.download.errors import TransferError

logger = logging.getLogger(__name__)

_LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Patience:
    """`attempts` in a row that may fail; seconds before the second one, doubled with each."""

    attempts: int = 6
    first_wait: float = 1.0

    def start(self) -> "Waits":
        """A new count."""
        return Waits(self)


class Waits:
    """Counts failures in a row."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._failures = 0

    def reset(self) -> None:
        """Something moved: the next failure is a first one again."""
        self._failures = 0

    def after(self, problem: str, retry_after: float | None = None) -> None:
        """Sleep before the next attempt. Raises TransferError with `problem` when there is none."""
        self._failures += 1
        if self._failures >= self._patience.attempts:
            raise TransferError(f"{problem}; tried {self._failures} times")
        usual = self._patience.first_wait * 2 ** (self._failures - 1)
        seconds = min(_LONGEST_WAIT, usual if retry_after is None else retry_after)
        logger.info("%s; trying again in %g s", problem, seconds)
        time.sleep(seconds)
