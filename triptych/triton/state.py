"""What a supervisor shows of itself, and how patient it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """A supervised Triton's life."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class Endpoints:
    """Where clients reach Triton: `host:port` for gRPC, URLs for the rest. The same across restarts."""

    grpc: str
    http: str
    metrics: str


@dataclass(frozen=True)
class Status:
    """One snapshot of the supervisor."""

    state: State
    restarts: int = 0
    """Completed restarts: times it became ready again."""
    pid: int | None = None
    """The tritonserver process, while there is one."""
    detail: str = ""
    """Why it is restarting or failed; empty otherwise."""


@dataclass(frozen=True)
class RestartPolicy:
    """When to restart, how fast, and when to give up. Times in seconds."""

    startup_deadline_s: float = 600.0
    """From launch to ready. Models may load for minutes."""
    poll_s: float = 1.0
    """Between two looks at a running server."""
    unresponsive_after_s: float = 30.0
    """A server that answers no health probe for this long is killed."""
    unreaped_after_s: float = 5.0
    """A Python model's process that ended so long ago, and that Triton has not reaped, was not ended by Triton."""
    backoff_s: float = 0.5
    """Before the first restart; doubles with each rapid failure."""
    max_backoff_s: float = 30.0
    healthy_after_s: float = 60.0
    """A server that was ready this long has its failures forgiven."""
    give_up_after: int = 5
    """Rapid failures in a row after which the state is `failed`."""

    def backoff(self, failures: int) -> float:
        """Seconds to wait before the restart after this many rapid failures in a row (1 or more)."""
        return min(self.max_backoff_s, self.backoff_s * 2.0 ** (failures - 1))
