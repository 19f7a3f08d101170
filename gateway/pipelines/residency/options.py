"""How models share memory."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ResidencyOptions:
    """`budget_bytes` None: as much as there is; then models leave only when they were not used for `idle_seconds`.

    `pinned` are models that never leave. A request waits up to `wait_seconds` for its model to come in.
    """

    budget_bytes: int | None = None
    idle_seconds: float | None = None
    pinned: frozenset[str] = field(default_factory=frozenset)
    wait_seconds: float = 120.0
    host_budget_bytes: int = 0
    """Host memory for what left the device."""
    retry_seconds: float = 1.0
    """Between two attempts to unload what would not go."""
