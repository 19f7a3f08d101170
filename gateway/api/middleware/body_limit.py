"""Refuses bodies over the limit, whether their length is declared or only found out while reading."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.errors import error_response
from gateway.domain.errors import BodyTooLarge


class BodyLimitMiddleware:
    """Pure ASGI."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._limit = max_body_bytes
        self._sentence = f"the body is larger than {max_body_bytes} bytes, which is the limit"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one HTTP request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > self._limit:
            await error_response(BodyTooLarge(self._sentence))(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self._limit:
                    # The framework turns any other exception while it reads a body into a 400.
                    raise HTTPException(413, self._sentence)
            return message

        await self._app(scope, receive_counted, send)
