"""Jobs as callers read them."""

import json
from typing import Literal

from pydantic import BaseModel, Field, JsonValue

from gateway.api.errors import ErrorBody
from gateway.domain.jobs import Job, JobFailure, JobStatus

JOBS_PATH = "/v1/jobs"


class JobView(BaseModel):
    """A job as it is now. Fields that do not apply are left out."""

    id: str = Field(description="Cannot be guessed; who knows it may see and cancel the job.")
    object: Literal["job"] = "job"
    kind: str = Field(examples=["image_generation"])
    status: JobStatus
    created: int = Field(description="Unix time in seconds.")
    poll_url: str = Field(description="Where to ask for the job.")
    events_url: str = Field(description="Where it tells of itself, as server-sent events.")
    queue_position: int | None = Field(default=None, description="While queued: 1 is next.")
    started: int | None = Field(default=None, description="When it was begun, for the last time if more than once.")
    progress: float = Field(description="0 to 1.")
    stage: str | None = Field(default=None, description="What is being done.", examples=["denoise"])
    ended: int | None = None
    expires: int | None = Field(default=None, description="When the result is deleted; from then on the answer is 410.")
    result: JsonValue | None = Field(
        default=None, description="When completed: the body that the route would have answered, with links."
    )
    error: ErrorBody | None = Field(default=None, description="When failed.")


class JobList(BaseModel):
    """A page of jobs, the newest first, without their results."""

    object: Literal["list"] = "list"
    data: list[JobView]
    has_more: bool = Field(description="Whether older ones follow: ask with `after`, the last one's id.")


def view_job(job: Job, base_url: str, queue_position: int | None, *, with_result: bool = True) -> JobView:
    """`base_url` without a slash at its end."""
    failure = job.failure
    return JobView(
        id=job.id,
        kind=job.kind,
        status=job.status,
        created=int(job.created),
        poll_url=f"{base_url}{JOBS_PATH}/{job.id}",
        events_url=f"{base_url}{JOBS_PATH}/{job.id}/events",
        queue_position=queue_position,
        started=_seconds(job.started),
        progress=job.progress,
        stage=job.stage,
        ended=_seconds(job.ended),
        expires=_seconds(job.expires),
        result=json.loads(job.result) if with_result and job.result is not None else None,
        error=None if failure is None else _error(failure),
    )


def _error(failure: JobFailure) -> ErrorBody:
    return ErrorBody(message=failure.message, type=failure.type, code=failure.code, param=failure.param)


def _seconds(moment: float | None) -> int | None:
    return None if moment is None else int(moment)
