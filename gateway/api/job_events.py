"""A job's news as server-sent events.

A new listener is told first how the job stands. One that comes back with `Last-Event-ID` gets what it missed instead.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.api.disconnect import run_while_connected
from gateway.api.event_stream import KEEP_ALIVE_SECONDS, STREAM_HEADERS, written, written_error
from gateway.api.job_views import JobView, view_job
from gateway.domain.errors import ClientGone, GatewayError
from gateway.domain.jobs import Job, JobEvent, JobEventKind, JobStatus
from gateway.pipelines.jobs.desk import JobDesk

logger = logging.getLogger(__name__)


class JobStateEvent(JobView):
    """How the job stands: told first, and whenever its status or its place in the queue changes."""

    type: Literal["job.state"] = "job.state"


class JobEndedEvent(JobView):
    """The last event: the job with its result or error."""

    type: Literal["job.completed", "job.failed", "job.cancelled"]


class JobStatusDetail(BaseModel):
    """What a record's event of a new status holds."""

    status: JobStatus


class JobStageEvent(BaseModel):
    """The next part of the work began."""

    type: Literal["job.stage"] = "job.stage"
    stage: str


class JobProgressEvent(BaseModel):
    """So much is done."""

    type: Literal["job.progress"] = "job.progress"
    progress: float = Field(description="0 to 1.")


class JobPreviewEvent(BaseModel):
    """A true estimate of picture `image_index`; its estimates are counted by `partial_image_index`."""

    type: Literal["job.preview"] = "job.preview"
    url: str
    image_index: int
    partial_image_index: int


JOB_EVENTS = (JobStateEvent, JobStageEvent, JobProgressEvent, JobPreviewEvent, JobEndedEvent)
JobStreamEvent = JobStateEvent | JobStageEvent | JobProgressEvent | JobPreviewEvent | JobEndedEvent


@dataclass(frozen=True, slots=True)
class Follower:
    """Who listens: `seen` is the last event that it had, None for a new one."""

    job_id: str
    base_url: str
    seen: int | None


class JobStream(Response):
    """Lasts until the job has ended or the client leaves."""

    def __init__(self, desk: JobDesk, follower: Follower) -> None:
        super().__init__()
        self._desk = desk
        self._follower = follower

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; the job goes on without it."""
        try:
            await run_while_connected(receive, self._serve(send))
        except ClientGone:
            logger.debug("a listener of a job left")

    async def _serve(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        chunks = self._chunks()
        loop = asyncio.get_running_loop()
        spoken = loop.time()
        async with aclosing(chunks):
            async for chunk in chunks:
                if not chunk and loop.time() - spoken < KEEP_ALIVE_SECONDS:
                    continue
                spoken = loop.time()
                body = chunk or b": still working\n\n"
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _chunks(self) -> AsyncGenerator[bytes]:
        """Events as they go out; nothing, once a second at least, where there are none."""
        try:
            async with aclosing(self._events()) as events:
                async for number, event in events:
                    yield b"" if event is None else _numbered(number, event)
        except GatewayError as error:
            yield written_error(error)

    async def _events(self) -> AsyncGenerator[tuple[int | None, JobStreamEvent | None]]:
        """With their numbers; None for what is no event of the record, or is not news."""
        told = self._follower.seen
        place: int | None = None
        async with aclosing(self._desk.follow(self._follower.job_id, told or 0)) as changes:
            async for job, events in changes:
                position = await self._desk.queue_position(job)
                if told is None:
                    told, place = job.last_event, position
                    yield told, self._state(job, position)
                    continue
                for event in events:
                    yield event.number, self._event(job, event, position)
                if position != place and not events:
                    yield None, self._state(job, position)
                elif not events:
                    yield None, None
                place = position

    def _event(self, job: Job, event: JobEvent, position: int | None) -> JobStreamEvent:
        match event.kind:
            case JobEventKind.STAGE:
                return JobStageEvent.model_validate_json(event.detail)
            case JobEventKind.PROGRESS:
                return JobProgressEvent.model_validate_json(event.detail)
            case JobEventKind.PREVIEW:
                return JobPreviewEvent.model_validate_json(event.detail)
            case JobEventKind.STATUS:
                # Only a job's last event can be of its end.
                ended = job.status.final and event.number == job.last_event
                return self._state(job, position) if ended else self._left(job, event, position)

    def _left(self, job: Job, event: JobEvent, position: int | None) -> JobStateEvent:
        """News of a status that the job may have left since: as it was, and no result before its event."""
        status = JobStatusDetail.model_validate_json(event.detail).status
        view = view_job(job, self._follower.base_url, position, with_result=False)
        return JobStateEvent(**{**view.model_dump(), "status": status})

    def _state(self, job: Job, position: int | None) -> JobStreamEvent:
        view = view_job(job, self._follower.base_url, position)
        match job.status:
            case JobStatus.COMPLETED:
                return JobEndedEvent(type="job.completed", **view.model_dump())
            case JobStatus.FAILED:
                return JobEndedEvent(type="job.failed", **view.model_dump())
            case JobStatus.CANCELLED:
                return JobEndedEvent(type="job.cancelled", **view.model_dump())
            case _:
                return JobStateEvent(**view.model_dump())


def _numbered(number: int | None, event: JobStreamEvent) -> bytes:
    lead = b"" if number is None else b"id: %d\n" % number
    return lead + written(event)
