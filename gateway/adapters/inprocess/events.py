"""The bridge from the engine's thread to the event loop."""

import asyncio
import threading
from contextlib import suppress

import numpy as np
import torch

from gateway.adapters.inprocess.errors import backend_error
from gateway.domain.backend import Denoised, DenoiseEvent, Latents, Preview, StepDone
from gateway.domain.errors import BackendError


class EventBridge:
    """A DenoiseSink whose events are awaited. Its queue is bounded by the request: one event a step, and one more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, progress: bool) -> None:
        """`progress`: whether steps are told as they pass."""
        self._loop = loop
        self._tells_progress = progress
        self._events: asyncio.Queue[DenoiseEvent | BackendError] = asyncio.Queue()
        self._cancelled = threading.Event()

    async def next(self) -> DenoiseEvent:
        """The next event. Raises the BackendError that ended the request."""
        event = await self._events.get()
        if isinstance(event, BackendError):
            raise event
        return event

    def cancel(self) -> None:
        """Nobody listens any more: the engine drops the request before its next step."""
        self._cancelled.set()

    def progress(self, step: int) -> None:
        """See DenoiseSink."""
        if self._tells_progress:
            self._send(StepDone(step))

    def preview(self, step: int, latents: torch.Tensor) -> None:
        """See DenoiseSink."""
        self._send(Preview(step, _array(latents)))

    def finished(self, latents: torch.Tensor) -> None:
        """See DenoiseSink."""
        self._send(Denoised(_array(latents)))

    def failed(self, error: Exception) -> None:
        """See DenoiseSink."""
        self._send(backend_error(error))

    def cancelled(self) -> bool:
        """See DenoiseSink."""
        return self._cancelled.is_set()

    def _send(self, event: DenoiseEvent | BackendError) -> None:
        # The loop is closed when the process is going down; then nobody is left to hear.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)


def _array(latents: torch.Tensor) -> Latents:
    """A copy: the engine may reuse its memory for the next step."""
    array: Latents = latents.detach().to("cpu", torch.float32).numpy().copy()
    assert array.dtype == np.float32
    return array
