"""A try-on as server-sent events."""

import base64
import time
from collections.abc import Awaitable, Callable

from gateway.api.event_stream import Event, EventStream, News
from gateway.api.tryon_response import (
    TryOnCompletedEvent,
    TryOnPartialImageEvent,
    TryOnProgressEvent,
    TryOnResponse,
    TryOnStageEvent,
)
from gateway.domain.pictures import PartialPicture, PictureFormat
from gateway.domain.tryon import TryOnListener, TryOnStage

_LEAST_PROGRESS = 0.01
"""Smaller moves are not told."""


class StreamListener(TryOnListener):
    """What the pipeline tells, as events; those before `started` wait for it."""

    def __init__(self, tell: Callable[[News], None], output: PictureFormat) -> None:
        self._tell = tell
        self._output = output
        self._begun = False
        self._waiting: list[Event] = []
        self._share = 0.0
        self._told_share = 0.0

    def started(self) -> None:
        """See TryOnListener."""
        self._begun = True
        self._tell(())
        for event in self._waiting:
            self._tell((event,))
        self._waiting.clear()

    def stage_began(self, stage: TryOnStage) -> None:
        """See TryOnListener."""
        self._say(TryOnStageEvent(stage=stage, status="began", progress=self._share))

    def stage_ended(self, stage: TryOnStage, seconds: float) -> None:
        """See TryOnListener."""
        self._say(TryOnStageEvent(stage=stage, status="ended", seconds=seconds, progress=self._share))

    def progress(self, share: float) -> None:
        """See TryOnListener."""
        self._share = share
        if share - self._told_share >= _LEAST_PROGRESS:
            self._told_share = share
            self._say(TryOnProgressEvent(progress=share))

    def partial(self, picture: PartialPicture) -> None:
        """See TryOnListener."""
        self._say(
            TryOnPartialImageEvent(
                b64_json=base64.b64encode(picture.data).decode(),
                partial_image_index=picture.order,
                image_index=picture.index,
                created_at=int(time.time()),
                size=str(picture.size),
                output_format=self._output.value,
            )
        )

    def _say(self, event: Event) -> None:
        if self._begun:
            self._tell((event,))
        else:
            self._waiting.append(event)


class TryOnStream(EventStream):
    """Ends with one `tryon.completed`."""

    def __init__(self, run: Callable[[TryOnListener], Awaitable[TryOnResponse]], output: PictureFormat) -> None:
        super().__init__()
        self._run = run
        self._output = output

    async def work(self, tell: Callable[[News], None]) -> News:
        """See EventStream."""
        answer = await self._run(StreamListener(tell, self._output))
        return (TryOnCompletedEvent.model_validate(answer.model_dump()),)
