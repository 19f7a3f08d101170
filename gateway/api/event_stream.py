"""Work as server-sent events.

The status line waits for the work's first word: what fails before that (a full queue, input that cannot be used) is an
ordinary error answer. What fails later is an `error` event, which OpenAI's clients raise as APIError.
"""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.api.disconnect import run_while_connected
from gateway.api.errors import envelope, error_response, log_hidden, unexpected
from gateway.domain.errors import ClientGone, GatewayError

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 15.0
"""Proxies cut connections that stay silent, usually after 30 to 60 s."""
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Event(Protocol):
    """A pydantic model whose `type` is the event's name."""

    @property
    def type(self) -> str:
        """In `event:` and in the data."""
        ...

    def model_dump_json(self, *, exclude_none: bool) -> str:
        """The event's `data`."""
        ...


News = Sequence[Event]
"""What comes together. Nothing at all says that the work was taken."""
_Item = News | GatewayError | None


class EventStream(Response):
    """Does its work while it is being sent; both end together."""

    @abstractmethod
    async def work(self, tell: Callable[[News], None]) -> News:
        """Tells news as they come; the last ones are the result. Raises GatewayError."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; the work is over when this returns, however it returns."""
        try:
            await run_while_connected(receive, self._serve(scope, receive, send))
        except ClientGone:
            logger.info("the client closed the stream; its work was cancelled")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        items: asyncio.Queue[_Item] = asyncio.Queue()
        task = asyncio.create_task(self._produce(items))
        try:
            first = await items.get()
            if isinstance(first, GatewayError):
                await error_response(first)(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
            await _send_items(first, items, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _produce(self, items: asyncio.Queue[_Item]) -> None:
        """Ends with a GatewayError, or the result and None."""
        try:
            items.put_nowait(await self.work(items.put_nowait))
            items.put_nowait(None)
        except GatewayError as error:
            items.put_nowait(error)
        except Exception as error:
            items.put_nowait(unexpected(error))


def written(event: Event) -> bytes:
    """As it goes over the wire."""
    data = event.model_dump_json(exclude_none=True).encode()
    return b"event: " + event.type.encode() + b"\ndata: " + data + b"\n\n"


def written_error(error: GatewayError) -> bytes:
    """As the last event."""
    return b"event: error\ndata: " + envelope(error).model_dump_json().encode() + b"\n\n"


async def _send_items(item: _Item, items: asyncio.Queue[_Item], send: Send) -> None:
    while item is not None:
        if isinstance(item, GatewayError):
            log_hidden(item)
            await _say(send, written_error(item))
            return
        for event in item:
            await _say(send, written(event))
        if not item:
            # A comment sends the headers on their way: the client knows that its work was taken.
            await _say(send, b": started\n\n")
        item = await _next(items, send)


async def _next(items: asyncio.Queue[_Item], send: Send) -> _Item:
    while True:
        try:
            async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                return await items.get()
        except TimeoutError:
            await _say(send, b": still working\n\n")


async def _say(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})
