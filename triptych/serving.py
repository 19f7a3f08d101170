"""`triptych serve`: the gateway comes up at once; models and Triton follow, and `/readyz` tells when all is there."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Coroutine, Iterator, Mapping
from types import FrameType

import uvicorn
from fastapi import FastAPI

from families.catalog import ModelSource
from families.vision.source import NO_VISION, VisionSource
from gateway.app import begin_leaving, create_app
from gateway.settings import Settings
from triptych.inference import Inference
from triptych.run_state import RunState, remove_state, write_state
from triptych.triton import TritonSupervisor

logger = logging.getLogger(__name__)


class AddressError(RuntimeError):
    """The gateway's port is taken, or its address is not this machine's."""


class _Server(uvicorn.Server):
    """uvicorn, except that signals are the composition's: uvicorn raises them again before Triton has stopped."""

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn waits for its connections before the application hears of its end."""
        begin_leaving(self._app)
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def run_loop(main: Coroutine[None, None, int]) -> int:
    """Run on uvloop where there is one (not on Windows)."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ModuleNotFoundError:
        return asyncio.run(main)
    code: int = uvloop.run(main)
    return code


async def serve(
    settings: Settings,
    models: Mapping[str, ModelSource],
    inference: Inference,
    vision: Mapping[str, VisionSource] = NO_VISION,
) -> int:
    """Run until a signal, or a failure that no restart mends; the process's exit code. Raises AddressError.

    SIGTERM and SIGINT drain: no new connection, requests under way finish within `server.drain_seconds`, then Triton
    stops. A second signal cuts them off.
    """
    listener = _listen(settings.server.host, settings.server.port)
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    app = create_app(settings, inference.backend, models, vision)
    server = _Server(
        app,
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=max(1, round(settings.server.drain_seconds)),
        ),
    )
    _on_signals(server)

    def report(triton: TritonSupervisor | None) -> None:
        write_state(settings.runtime_directory, _state(url, triton))

    report(None)
    logger.info("gateway on %s, models are coming up", url)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="gateway")
    keeping = asyncio.create_task(inference.keep(report), name="inference")
    try:
        await asyncio.wait({serving, keeping}, return_when=asyncio.FIRST_COMPLETED)
        failure = keeping.exception() if keeping.done() else None
        if failure is not None:
            logger.critical("stopping: %s", failure)
            server.should_exit = True
        await serving
        return 0 if failure is None else 1
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await keeping
        await inference.stop()
        remove_state(settings.runtime_directory)


def _state(url: str, triton: TritonSupervisor | None) -> RunState:
    if triton is None:
        return RunState(gateway_url=url, gateway_pid=os.getpid())
    endpoints = triton.endpoints
    return RunState(
        gateway_url=url,
        gateway_pid=os.getpid(),
        triton_pid=triton.status.pid,
        triton_grpc=endpoints.grpc,
        triton_http_url=endpoints.http,
        triton_metrics_url=endpoints.metrics,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise AddressError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    # asyncio does this only for listeners that it made itself; without it every answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _on_signals(server: uvicorn.Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, server.handle_exit, number, None)
        except NotImplementedError:  # Windows
            signal.signal(number, server.handle_exit)
