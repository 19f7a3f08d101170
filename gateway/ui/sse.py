"""Reads server-sent events."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """`kind` is `message` where the server names none; `data` is as it was sent."""

    kind: str
    data: str


async def server_events(lines: AsyncIterator[str]) -> AsyncGenerator[ServerEvent, None]:
    """The events of a stream's lines, which come without their ends. Comments, which keep it alive, are skipped."""
    kind, data = "message", list[str]()
    async for line in lines:
        if not line:
            if data:
                yield ServerEvent(kind, "\n".join(data))
            kind, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            data.append(value)
