"""What the gateway measures about itself, as a port; the Prometheus adapter implements it."""

from enum import StrEnum
from typing import Protocol


class Stage(StrEnum):
    """Parts of a generation that are timed on their own."""

    QUEUE = "queue"
    TEXT_ENCODE = "text_encode"
    DENOISE = "denoise"
    DECODE = "decode"
    ENCODE_IMAGE = "encode_image"


class Outcome(StrEnum):
    """How a generation ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    FAILED = "failed"


class Telemetry(Protocol):
    """Counters and timers; every method is cheap and never raises."""

    def stage(self, stage: Stage, seconds: float) -> None:
        """One stage took `seconds`."""

    def generation(self, outcome: Outcome, images: int) -> None:
        """A generation of `images` pictures ended."""

    def load(self, active: int, waiting: int) -> None:
        """How many generations run and how many wait, now."""

    def embedding_lookup(self, *, hit: bool) -> None:
        """A prompt's embedding was looked up."""

    def http_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """An HTTP request was answered; `route` is the template, not the path."""
