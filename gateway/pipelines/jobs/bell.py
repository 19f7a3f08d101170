"""Wakes those in this process who wait for news; what happens in other gateways they find by looking now and then."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Bell:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Event]] = {}

    def ring(self, topic: str) -> None:
        """There is news of this."""
        for listener in self._listeners.get(topic, ()):
            listener.set()

    @contextmanager
    def listening(self, topic: str) -> Iterator[asyncio.Event]:
        """Set at every ring; clear it before looking, so that nothing is missed."""
        event = asyncio.Event()
        listeners = self._listeners.setdefault(topic, set())
        listeners.add(event)
        try:
            yield event
        finally:
            listeners.discard(event)
            if not listeners:
                self._listeners.pop(topic, None)


async def rung(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the bell, but no longer than this."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
