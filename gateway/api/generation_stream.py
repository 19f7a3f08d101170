"""A generation as server-sent events."""

import base64
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.api.event_stream import Event, EventStream, News
from gateway.api.generation_response import (
    CompletedEvent,
    EditCompletedEvent,
    EditPartialImageEvent,
    PartialImageEvent,
    picture_usage,
)
from gateway.domain.pictures import DrawsPictures, GenerateCommand, Generated, GenerateListener, PartialPicture, Picture


@dataclass(frozen=True, slots=True)
class EventKinds:
    """The events of a route."""

    partial: type[PartialImageEvent] | type[EditPartialImageEvent]
    completed: type[CompletedEvent] | type[EditCompletedEvent]


GENERATION_EVENTS = EventKinds(PartialImageEvent, CompletedEvent)
EDIT_EVENTS = EventKinds(EditPartialImageEvent, EditCompletedEvent)


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What every event repeats, and how a finished picture gets a link (None: no links are wanted)."""

    events: EventKinds
    quality: str
    output_format: str
    safety_identifier: str | None
    link: Callable[[Picture], Awaitable[str]] | None


class _StreamListener(GenerateListener):
    def __init__(self, tell: Callable[[News], None], partial: Callable[[PartialPicture], Event]) -> None:
        self._tell = tell
        self._partial = partial

    def started(self) -> None:
        self._tell(())

    def progress(self, share: float) -> None:
        """Clients of these routes know pictures alone."""

    def partial(self, picture: PartialPicture) -> None:
        self._tell((self._partial(picture),))


class GenerationStream(EventStream):
    """Estimates as they form, then one event for each picture."""

    def __init__(self, pipeline: DrawsPictures, command: GenerateCommand, facts: StreamFacts) -> None:
        super().__init__()
        self._pipeline = pipeline
        self._command = command
        self._facts = facts

    async def work(self, tell: Callable[[News], None]) -> News:
        """See EventStream."""
        generated = await self._pipeline.run(self._command, _StreamListener(tell, self._partial))
        return [await self._completed(picture, generated) for picture in generated.pictures]

    def _partial(self, picture: PartialPicture) -> PartialImageEvent | EditPartialImageEvent:
        return self._facts.events.partial(
            b64_json=base64.b64encode(picture.data).decode(),
            partial_image_index=picture.order,
            image_index=picture.index,
            created_at=int(time.time()),
            size=str(picture.size),
            quality=self._facts.quality,
            output_format=self._facts.output_format,
        )

    async def _completed(self, picture: Picture, generated: Generated) -> CompletedEvent | EditCompletedEvent:
        return self._facts.events.completed(
            b64_json=base64.b64encode(picture.data).decode(),
            url=None if self._facts.link is None else await self._facts.link(picture),
            image_index=picture.index,
            seed=picture.seed,
            created_at=int(time.time()),
            size=str(picture.size),
            quality=self._facts.quality,
            output_format=self._facts.output_format,
            usage=picture_usage(generated.usage, picture.index),
            safety_identifier=self._facts.safety_identifier,
            warnings=list(generated.warnings) or None,
        )
