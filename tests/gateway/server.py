"""A gateway over a fake backend, listening on a real port."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from families.catalog import ModelSource
from gateway.app import create_app
from gateway.settings import Scalar, Settings
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.model_folder import write_model_folder


@dataclass(frozen=True)
class RunningGateway:
    url: str
    backend: FakeBackend
    app: FastAPI
    server: uvicorn.Server
    folder: Path


@contextmanager
def serve(
    folder: Path,
    overrides: dict[str, Scalar] | None = None,
    backend: FakeBackend | None = None,
    sources: Mapping[str, ModelSource] | None = None,
) -> Iterator[RunningGateway]:
    """Runs in a thread until the block ends. `sources`: the models; without them those in the folder."""
    if not (folder / "models").exists():
        write_model_folder(folder / "models" / "wardrobe")
    settings = Settings.load(None, {"runtime_directory": str(folder / "runtime"), **(overrides or {})})
    settings = settings.model_copy(
        update={"models": settings.models.model_copy(update={"directories": (folder / "models",)})}
    )
    backend = backend or FakeBackend()
    app = create_app(settings, backend, sources)
    config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio sets it on connections of its own listeners alone; without it every answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the gateway did not start"
            threading.Event().wait(0.005)
        yield RunningGateway(f"http://127.0.0.1:{listener.getsockname()[1]}", backend, app, server, folder)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the gateway did not stop"
