"""What the gateway measures about itself, as a port; the Prometheus adapter implements it."""

from enum import StrEnum
from typing import Protocol

from gateway.domain.jobs import JobStatus


class Stage(StrEnum):
    """Parts of a generation that are timed on their own."""

    QUEUE = "queue"
    READ_IMAGE = "read_image"
    TEXT_ENCODE = "text_encode"
    VAE_ENCODE = "vae_encode"
    DENOISE = "denoise"
    DECODE = "decode"
    ENCODE_IMAGE = "encode_image"
    LAYERS_RESTORE = "layers_restore"
    TRYON_LOAD = "tryon_load"
    TRYON_PARSE = "tryon_parse"
    TRYON_GARMENT = "tryon_garment"
    TRYON_CROP = "tryon_crop"
    TRYON_MASK = "tryon_mask"
    TRYON_GENERATE = "tryon_generate"
    TRYON_SCORE = "tryon_score"
    TRYON_REFINE = "tryon_refine"
    TRYON_RESTORE = "tryon_restore"
    TRYON_ENCODE = "tryon_encode"


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


class JobTelemetry(Protocol):
    """Of jobs; every method is cheap and never raises."""

    def jobs(self, queued: int, generating: int) -> None:
        """How many there are now, in all gateways that share the records."""

    def job_ended(self, kind: str, status: JobStatus) -> None:
        """A job of this gateway ended so."""
