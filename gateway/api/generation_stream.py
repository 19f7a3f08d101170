"""A generation as server-sent events.

The status line waits for the backend to take the work: what fails before that (a full queue, a backend that is away) is
an ordinary error answer. What fails later is an `error` event, which OpenAI's clients raise as APIError.
"""

import asyncio
import base64
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from gateway.api.disconnect import run_while_connected
from gateway.api.errors import envelope, error_response, log_hidden, unexpected
from gateway.api.generation_response import CompletedEvent, PartialImageEvent, picture_usage
from gateway.domain.errors import ClientGone, GatewayError
from gateway.domain.pictures import GenerateCommand, Generated, PartialPicture, Picture
from gateway.pipelines.generate import GeneratePipeline

logger = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 15.0
"""Proxies cut connections that stay silent, usually after 30 to 60 s."""
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What every event repeats, and how a finished picture gets a link (None: no links are wanted)."""

    size: str
    quality: str
    output_format: str
    safety_identifier: str | None
    link: Callable[[Picture], Awaitable[str]] | None


@dataclass(frozen=True, slots=True)
class _Started:
    pass


_StreamItem = _Started | PartialPicture | Generated | GatewayError


class _QueueListener:
    def __init__(self, queue: asyncio.Queue[_StreamItem]) -> None:
        self._queue = queue

    def started(self) -> None:
        self._queue.put_nowait(_Started())

    def partial(self, picture: PartialPicture) -> None:
        self._queue.put_nowait(picture)


class GenerationStream(Response):
    """Runs the command while it is being sent; both end together."""

    def __init__(self, pipeline: GeneratePipeline, command: GenerateCommand, facts: StreamFacts) -> None:
        super().__init__()
        self._pipeline = pipeline
        self._command = command
        self._facts = facts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; the generation is over when this returns, however it returns."""
        try:
            await run_while_connected(receive, self._serve(scope, receive, send))
        except ClientGone:
            logger.info("the client closed the stream; its work was cancelled")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        items: asyncio.Queue[_StreamItem] = asyncio.Queue()
        task = asyncio.create_task(self._produce(items))
        try:
            first = await items.get()
            if isinstance(first, GatewayError):
                await error_response(first)(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await self._send_items(items, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _produce(self, items: asyncio.Queue[_StreamItem]) -> None:
        """Ends with exactly one Generated or GatewayError."""
        try:
            items.put_nowait(await self._pipeline.run(self._command, _QueueListener(items)))
        except GatewayError as error:
            items.put_nowait(error)
        except Exception as error:
            items.put_nowait(unexpected(error))

    async def _send_items(self, items: asyncio.Queue[_StreamItem], send: Send) -> None:
        while True:
            try:
                async with asyncio.timeout(_KEEP_ALIVE_SECONDS):
                    item = await items.get()
            except TimeoutError:
                await send(_chunk(b": still working\n\n"))
                continue
            match item:
                case _Started():
                    # A comment sends the headers on their way: the client knows that its work was taken.
                    await send(_chunk(b": started\n\n"))
                case PartialPicture():
                    await send(self._event(self._partial(item)))
                case Generated():
                    for picture in item.pictures:
                        await send(self._event(await self._completed(picture, item)))
                    return
                case GatewayError():
                    log_hidden(item)
                    await send(_chunk(b"event: error\ndata: " + envelope(item).model_dump_json().encode() + b"\n\n"))
                    return

    def _partial(self, picture: PartialPicture) -> PartialImageEvent:
        return PartialImageEvent(
            b64_json=base64.b64encode(picture.data).decode(),
            partial_image_index=picture.order,
            image_index=picture.index,
            created_at=int(time.time()),
            size=self._facts.size,
            quality=self._facts.quality,
            output_format=self._facts.output_format,
        )

    async def _completed(self, picture: Picture, generated: Generated) -> CompletedEvent:
        return CompletedEvent(
            b64_json=base64.b64encode(picture.data).decode(),
            url=None if self._facts.link is None else await self._facts.link(picture),
            image_index=picture.index,
            seed=picture.seed,
            created_at=int(time.time()),
            size=self._facts.size,
            quality=self._facts.quality,
            output_format=self._facts.output_format,
            usage=picture_usage(generated.usage, picture.index),
            safety_identifier=self._facts.safety_identifier,
            warnings=list(generated.warnings) or None,
        )

    @staticmethod
    def _event(event: PartialImageEvent | CompletedEvent) -> Message:
        return _chunk(b"event: " + event.type.encode() + b"\ndata: " + _json(event) + b"\n\n")


def _json(event: BaseModel) -> bytes:
    return event.model_dump_json(exclude_none=True).encode()


def _chunk(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}
