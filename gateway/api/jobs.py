"""`/v1/jobs`: jobs asked after, followed, listed, cancelled. They begin on the routes of their kind, with `async`."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response

from gateway.api.error_docs import errors
from gateway.api.errors import ErrorEnvelope
from gateway.api.files import base_url
from gateway.api.job_events import JOB_EVENTS, Follower, JobStream
from gateway.api.job_views import JOBS_PATH, JobList, JobView, view_job
from gateway.api.services import Services, services_of
from gateway.domain.errors import ListingRefused
from gateway.domain.jobs import JobStatus
from gateway.pipelines.jobs.handler import NewJob

router = APIRouter()

_EVENTS = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in (*JOB_EVENTS, ErrorEnvelope)]

ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"model": JobView, "description": "With `async`: the job that was queued. `Location` is its `poll_url`."}
}
"""For the `responses` of routes that take jobs."""


async def accept_job(request: Request, services: Services, job: NewJob) -> Response:
    """The answer to a request with `async`: 202. Raises Overloaded, Draining, StoreUnavailable."""
    taken = await services.jobs.submit(job)
    view = view_job(taken, base_url(services, request), await services.jobs.queue_position(taken))
    return Response(
        view.model_dump_json(exclude_none=True),
        status_code=202,
        headers={"location": view.poll_url},
        media_type="application/json",
    )


@router.get(
    JOBS_PATH + "/{job_id}",
    response_model=JobView,
    response_model_exclude_none=True,
    summary="A job",
    tags=["jobs"],
    responses=errors(404, 410, 503),
)
async def get_job(job_id: str, request: Request, services: Annotated[Services, Depends(services_of)]) -> JobView:
    """404 for an id that never was, or was long ago; 410 once the result has been deleted."""
    job = await services.jobs.find(job_id)
    return view_job(job, base_url(services, request), await services.jobs.queue_position(job))


@router.get(
    JOBS_PATH + "/{job_id}/events",
    summary="A job as it happens",
    tags=["jobs"],
    response_class=Response,
    responses={
        200: {
            "description": "Events until the job has ended.",
            "content": {"text/event-stream": {"schema": {"oneOf": _EVENTS}}},
        },
        204: {"description": "`Last-Event-ID` was the last event that there will be."},
        **errors(404, 410, 503),
    },
)
async def follow_job(
    job_id: str,
    request: Request,
    services: Annotated[Services, Depends(services_of)],
    last_event_id: Annotated[str | None, Header(description="Go on after this event.")] = None,
) -> Response:
    """First how the job stands now, or with `Last-Event-ID` what was missed since; then what happens. Hanging up does
    not end the job.
    """
    job = await services.jobs.find(job_id)
    seen = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdecimal() else None
    if seen == job.last_event and job.status.final:
        return Response(status_code=204)
    if seen is not None and seen > job.last_event:
        seen = None
    return JobStream(services.jobs, Follower(job_id, base_url(services, request), seen))


@router.get(
    JOBS_PATH,
    response_model=JobList,
    response_model_exclude_none=True,
    summary="Jobs, the newest first",
    tags=["jobs"],
    responses=errors(400, 403, 404, 410, 503),
)
async def list_jobs(
    request: Request,
    services: Annotated[Services, Depends(services_of)],
    limit: Annotated[int, Query(ge=1, le=100, description="How many.")] = 20,
    after: Annotated[str | None, Query(description="The id of the job behind which to go on.")] = None,
    status: Annotated[JobStatus | None, Query(description="Only those with this status.")] = None,
) -> JobList:
    """Ids give access to jobs: a server that others can reach lists them only if `jobs.listing` says so."""
    if not services.lists_jobs:
        raise ListingRefused("this server does not list jobs; ask for each by its id, or set jobs.listing")
    jobs = await services.jobs.page(limit + 1, after, status)
    base = base_url(services, request)
    views = [view_job(job, base, await services.jobs.queue_position(job), with_result=False) for job in jobs[:limit]]
    return JobList(data=views, has_more=len(jobs) > limit)


@router.delete(
    JOBS_PATH + "/{job_id}",
    response_model=JobView,
    response_model_exclude_none=True,
    summary="Cancel a job",
    tags=["jobs"],
    responses=errors(404, 410, 503),
)
async def cancel_job(job_id: str, request: Request, services: Annotated[Services, Depends(services_of)]) -> JobView:
    """The job as it is then: `cancelled`, within one denoising step; or, had it ended before, as it ended."""
    job = await services.jobs.cancel(job_id)
    return view_job(job, base_url(services, request), None)
