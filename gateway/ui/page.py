"""`/ui` as an ASGI application. Gradio is loaded when somebody first opens the page: it takes seconds and memory."""

import asyncio
import importlib.util
import logging
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

PATH = "/ui"
UPLOAD_PATH = f"{PATH}/gradio_api/upload"
"""Where the browser sends pictures before they are used."""


def is_installed() -> bool:
    """Whether the extra `ui` is there."""
    return importlib.util.find_spec("gradio") is not None


class Page:
    """To be mounted at PATH. `folder` holds visitors' pictures while they are looked at; what it held is deleted.

    `public_prefix`: what a proxy strips from the beginning of paths; empty where there is none. `path` is the label
    under which metrics count the page's requests.
    """

    path = PATH

    def __init__(self, folder: Path, max_upload_bytes: int, public_prefix: str = "") -> None:
        self._folder = folder
        self._root_path = f"{public_prefix}{PATH}"
        self._max_upload_bytes = max_upload_bytes
        self._opening = asyncio.Lock()
        self._resources = AsyncExitStack()
        self._application: Starlette | None = None
        self._closing = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; one that is still being answered when the server stops is ended there."""
        if scope["type"] != "http":
            raise ValueError(f"the page answers HTTP, not {scope['type']}")
        scope["route"] = self
        if self._closing.is_set():
            await PlainTextResponse("the server is shutting down\n", 503)(scope, receive, send)
            return
        application = self._application or await self._open()
        # Gradio's own router takes the path as it came in: its links begin where it is mounted.
        inner = {**scope, "root_path": scope.get("app_root_path", "")}
        answer = _Answer(send)
        working = asyncio.create_task(application(inner, receive, answer.send), name="page")
        closing = asyncio.create_task(self._closing.wait(), name="page closing")
        try:
            await asyncio.wait({working, closing}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            working.cancel()
            closing.cancel()
            await asyncio.gather(working, closing, return_exceptions=True)
        await answer.end()

    def begin_close(self) -> None:
        """End the streams of every page that is open: browsers would hold them, and the server's end, up."""
        self._closing.set()

    async def close(self) -> None:
        """Stop, and delete the visitors' pictures."""
        self.begin_close()
        await self._resources.aclose()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _open(self) -> Starlette:
        async with self._opening:
            if self._application is None:
                from gateway.ui.application import build_application  # noqa: PLC0415 - loads Gradio

                application = await asyncio.to_thread(
                    build_application, PATH, self._root_path, self._folder, self._max_upload_bytes
                )
                await self._resources.enter_async_context(application.router.lifespan_context(application))
                self._application = application
                logger.info("the page %s was opened for the first time", PATH)
            return self._application


class _Answer:
    """Passes an answer on, and can end it before its time."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = False
        self._ended = False

    async def send(self, message: Message) -> None:
        """As ASGI has it."""
        if message["type"] == "http.response.start":
            self._begun = True
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._ended = True
        await self._send(message)

    async def end(self) -> None:
        """Properly, where that has not happened."""
        if not self._begun:
            await self._send({"type": "http.response.start", "status": 503, "headers": []})
        if not self._ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
