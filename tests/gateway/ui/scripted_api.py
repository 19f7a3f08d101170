"""An API that says what a test wrote down, over httpx but without a socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from gateway.ui.api import Api

JOB = "job_1"


@dataclass
class ScriptedApi:
    """One job. `streams`: what each connection to its events tells; a stream that ends in BREAK is cut off there, one
    that ends in WAIT stays open until the job is cancelled.
    """

    streams: list[list[dict[str, Any] | str]]
    refusal: dict[str, Any] | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    orders: list[httpx.Request] = field(default_factory=list)
    placed: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    may_take: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_take.set()

    def api(self) -> Api:
        return Api(httpx.AsyncClient(transport=httpx.MockTransport(self._answer), base_url="http://page"))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.path))
        if request.method == "POST":
            await request.aread()
            self.orders.append(request)
            self.placed.set()
            await self.may_take.wait()
            if self.refusal is not None:
                return httpx.Response(400, json={"error": self.refusal})
            return httpx.Response(202, json={"id": JOB, "status": "queued"})
        if request.method == "DELETE":
            self.cancelled.set()
            return httpx.Response(200, json={"id": JOB, "status": "cancelled"})
        return httpx.Response(200, stream=_Told(self, self.streams.pop(0)))


BREAK, WAIT = "break", "wait"


class _Told(httpx.AsyncByteStream):
    def __init__(self, script: ScriptedApi, events: list[dict[str, Any] | str]) -> None:
        self._script = script
        self._events = events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b": hello\n\n"
        for event in self._events:
            if event == BREAK:
                raise httpx.ReadError("cut off")
            if event == WAIT:
                await self._script.cancelled.wait()
                event = {"status": "cancelled"}
            yield f"id: 1\nevent: job.state\ndata: {json.dumps(event)}\n\n".encode()
