"""Who asks: the server's own address, as the request for the page came in by it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import gradio as gr

from gateway.ui.answers import Problem
from gateway.ui.api import Api, ApiError, open_api


@asynccontextmanager
async def api_of(request: gr.Request) -> AsyncIterator[Api]:
    """The API of the server that this request reached.

    The socket's address, not the request's Host: that one says what the visitor likes, and the page would call it.
    """
    server = request.request.scope.get("server")
    if server is None or server[1] is None:
        raise ApiError(Problem(message="the page needs a server on TCP; this one listens on a file"))
    async with open_api((server[0], server[1])) as api:
        yield api
