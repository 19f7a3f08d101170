"""The public API as the page uses it: jobs are started, followed and cancelled over HTTP, as any client would."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from gateway.ui.answers import ComposedAnswer, JobTaken, JobTold, ModelAnswer, ModelsAnswer, Problem, ProblemAnswer
from gateway.ui.orders import Order
from gateway.ui.sse import ServerEvent, server_events

_TIMEOUT = httpx.Timeout(30, read=120)
"""Streams say something at least every 15 seconds; a busy server may take longer to say it."""
_MOST_FAILURES = 5
"""Of following one job, in a row."""


class ApiError(Exception):
    """What the API refused, in its own words."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class FormFile:
    """A picture of a form. Visitors' own names of files are theirs: the API is told the field's."""

    field: str
    path: Path


class Api:
    """The server that serves the page, seen from outside. Every method raises ApiError."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def models(self) -> tuple[ModelAnswer, ...]:
        """Those that are served."""
        answer = await self._send(self._client.build_request("GET", "/v1/models"))
        return ModelsAnswer.model_validate_json(answer.content).data

    async def order(self, route: str, order: Order, files: Sequence[FormFile] = ()) -> str:
        """Start a job; its id. A form where there are files, else JSON."""
        if files:
            answer = await self._send_form(route, order.form(), files)
        else:
            headers = {"content-type": "application/json"}
            request = self._client.build_request("POST", route, content=order.body(), headers=headers)
            answer = await self._send(request)
        return JobTaken.model_validate_json(answer.content).id

    async def compose(self, fields: Mapping[str, str], files: Sequence[FormFile]) -> ComposedAnswer:
        """Put layers together; what they look like, in the answer."""
        route = "/v1/images/layers/compose"
        answer = await self._send_form(route, {**fields, "response_format": "b64_json"}, files)
        return ComposedAnswer.model_validate_json(answer.content)

    async def job(self, job: str) -> AsyncGenerator[JobTold, None]:
        """What a job tells, from what it is now to its end. A connection that breaks is made again, a few times."""
        failures = 0
        while True:
            try:
                async with aclosing(self._events(f"/v1/jobs/{job}/events")) as events:
                    async for event in events:
                        failures = 0
                        yield JobTold.model_validate_json(event.data)
                return
            except httpx.HTTPError as error:
                failures += 1
                if failures > _MOST_FAILURES:
                    raise _unreachable(error) from error
                await asyncio.sleep(failures)

    async def cancel(self, job: str) -> None:
        """End a job; one that has ended stays as it is."""
        await self._send(self._client.build_request("DELETE", f"/v1/jobs/{job}"))

    async def fetch(self, link: str) -> bytes:
        """A picture by the API's link; from this very server, whatever address it hands out to the world."""
        parts = urlsplit(link)
        return (await self._send(self._client.build_request("GET", f"{parts.path}?{parts.query}"))).content

    async def _send_form(
        self, route: str, fields: Mapping[str, str | list[str]], files: Sequence[FormFile]
    ) -> httpx.Response:
        with ExitStack() as stack:
            form = [(file.field, (file.field, stack.enter_context(file.path.open("rb")))) for file in files]
            return await self._send(self._client.build_request("POST", route, data=dict(fields), files=form))

    async def _events(self, path: str) -> AsyncGenerator[ServerEvent, None]:
        async with self._client.stream("GET", path) as answer:
            if answer.is_error:
                await answer.aread()
                raise ApiError(_problem(answer))
            async with aclosing(server_events(answer.aiter_lines())) as events:
                async for event in events:
                    yield event

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            answer = await self._client.send(request)
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        if answer.is_error:
            raise ApiError(_problem(answer))
        return answer


@asynccontextmanager
async def open_api(server: tuple[str, int]) -> AsyncIterator[Api]:
    """The API at the socket that a request for the page came in by. Proxies of the environment are not asked."""
    host, port = server
    base_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    async with httpx.AsyncClient(base_url=base_url, timeout=_TIMEOUT, trust_env=False) as client:
        yield Api(client)


def _problem(answer: httpx.Response) -> Problem:
    try:
        return ProblemAnswer.model_validate_json(answer.content).error
    except ValidationError:
        return Problem(message=f"the server answered {answer.status_code} {answer.reason_phrase}")


def _unreachable(error: httpx.HTTPError) -> ApiError:
    return ApiError(Problem(message=f"the server cannot be reached: {type(error).__name__} {error}".strip()))
