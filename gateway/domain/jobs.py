"""Work that outlives its request: what is known of a job, whoever asks and whichever gateway answers."""

from dataclasses import dataclass
from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job is. The last three are final."""

    QUEUED = "queued"
    GENERATING = "generating"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing happens to the job any more."""
        return self not in (JobStatus.QUEUED, JobStatus.GENERATING)


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why a job failed, as its caller may read it: the fields of the error answer."""

    message: str
    type: str
    code: str
    param: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is now. Times are Unix seconds.

    `number` grows with every job; `id` cannot be guessed. `progress` is 0 to 1, `stage` the pipeline's word for what it
    does. `result` is the answer's JSON, of a completed job alone; `failure` of a failed one. `expires`: when a final
    job's result goes. `last_event` is the number of its newest event, 0 before the first.
    """

    number: int
    id: str
    kind: str
    status: JobStatus
    created: float
    started: float | None
    ended: float | None
    expires: float | None
    attempts: int
    progress: float
    stage: str | None
    result: str | None
    failure: JobFailure | None
    last_event: int


class JobEventKind(StrEnum):
    """What events tell."""

    STATUS = "status"
    STAGE = "stage"
    PROGRESS = "progress"
    PREVIEW = "preview"


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Event `number` of a job, counted from 1. `detail` is JSON, by kind: see `gateway.api.job_events`."""

    number: int
    kind: JobEventKind
    created: float
    detail: str
