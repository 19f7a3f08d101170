"""What the engine tells about itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineMetrics:
    """One moment of the engine. Times in seconds; totals since the start.

    `active`: images with latents in flight; `waiting`: images not yet started. `last_rows`, `last_seconds`: the last
    denoiser call. `skipped`: evaluations of an image that its step cache saved. `runtime_seconds` is the part of
    `busy_seconds` inside the runtime's calls. `queued_seconds`: expected time to work off everything now in the engine.
    """

    active: int = 0
    waiting: int = 0
    last_rows: int = 0
    last_seconds: float = 0.0
    ticks: int = 0
    rows: int = 0
    padded_rows: int = 0
    skipped: int = 0
    finished: int = 0
    cancelled: int = 0
    failed: int = 0
    rejected: int = 0
    busy_seconds: float = 0.0
    runtime_seconds: float = 0.0
    alive_seconds: float = 0.0
    queued_seconds: float = 0.0

    @property
    def busy_fraction(self) -> float:
        """Part of the engine's life spent on ticks."""
        return self.busy_seconds / self.alive_seconds if self.alive_seconds > 0 else 0.0
