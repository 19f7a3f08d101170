"""How many jobs, how long they live, how often they are tried."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobLimits:
    """`max_active` are done by this gateway at once; `max_queued` wait, in all gateways together. Times in seconds.

    A job's result lives `result_ttl` from its end, and that there was such a job is known `tombstone` longer. A gateway
    that shows no sign of life for `lease` loses its jobs to the others. A job is begun at most `max_attempts` times.
    """

    max_queued: int
    max_active: int
    result_ttl: float
    tombstone: float
    lease: float
    max_attempts: int
