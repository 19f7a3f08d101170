"""Outermost layer: the request's id, its time, its log line, and an answer for what nobody caught."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.errors import error_response, unexpected
from gateway.api.job_views import JOBS_PATH
from gateway.api.request_id import HEADER, adopt_request_id
from gateway.domain.telemetry import Telemetry

logger = logging.getLogger("gateway.access")

_QUIET = frozenset({"/livez", "/readyz", "/metrics", "/health"})
"""Probes come every few seconds; their lines are at DEBUG."""
_ANONYMOUS_ROUTE = "unmatched"
_CLIENT_GONE = 499


class RequestContextMiddleware:
    """Pure ASGI: streams pass through untouched, and cancellation reaches the routes."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one HTTP request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        offered = next((value.decode("latin-1") for name, value in scope["headers"] if name == HEADER.encode()), None)
        request_id = adopt_request_id(offered)
        begun = time.monotonic()
        status = 0

        async def send_stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                milliseconds = (time.monotonic() - begun) * 1000
                stamps = [
                    (HEADER.encode(), request_id.encode()),
                    (b"server-timing", f"total;dur={milliseconds:.1f}".encode()),
                ]
                message = {**message, "headers": [*message.get("headers", []), *stamps]}
            await send(message)

        try:
            await self._app(scope, receive, send_stamped)
        except Exception as error:
            if status:
                # Half an answer cannot be taken back: the server closes the connection, which the client notices.
                raise
            await error_response(unexpected(error))(scope, receive, send_stamped)
        finally:
            self._record(scope, status or _CLIENT_GONE, time.monotonic() - begun)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", _ANONYMOUS_ROUTE)
        self._telemetry.http_request(scope["method"], route, status, seconds)
        level = logging.DEBUG if scope["path"] in _QUIET else logging.INFO
        path = scope["path"]
        if path.startswith(JOBS_PATH + "/"):
            # The id of a job is the key to it.
            path = route
        # repr: a path may carry line breaks that would forge lines of the log.
        logger.log(level, "%s %r %d %.1f ms", scope["method"], path, status, seconds * 1000)
