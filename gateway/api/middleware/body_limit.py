"""Refuses bodies over the limit, whether their length is declared or only found out while reading."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.errors import error_response
from gateway.domain.errors import BodyTooLarge


class BodyLimitMiddleware:
    """Pure ASGI. `upload_paths` have a limit of their own."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, max_upload_bytes: int, upload_paths: frozenset[str]) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_upload_bytes = max_upload_bytes
        self._upload_paths = upload_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one HTTP request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._max_upload_bytes if scope["path"] in self._upload_paths else self._max_body_bytes
        sentence = f"the body is larger than {limit} bytes, which is the limit"
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > limit:
            await error_response(BodyTooLarge(sentence))(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > limit:
                    # The framework turns any other exception while it reads a body into a 400.
                    raise HTTPException(413, sentence)
            return message

        await self._app(scope, receive_counted, send)
