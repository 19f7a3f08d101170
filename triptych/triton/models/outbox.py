"""The one thread that talks to Triton: sends responses, asks who went away, keeps the metrics.

One thread, because Triton 2.51 crashes when two use a metric at once, and because a response's way through shared
memory must not hold up the engine's loop. Sends run while the engine's thread waits for its denoiser, outside the
interpreter's lock.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import triton_python_backend_utils as pb_utils

from families import denoise_wire as wire
from triptych.triton.models.exchange import event_response, failure_response

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.01
_POLL_SHARE = 0.01
"""Cancels are asked for this often, less than one denoiser call, but never for more than this share of the time: a
question costs 70 us, and there is one a request. The more requests, the more calls pass until each one's next step."""
_POLL_LONGEST_SECONDS = 0.25
"""And never less often than this: a thread that had to wait for a core asked no dearer questions."""
_METRICS_SECONDS = 0.25
_PROGRESS_SECONDS = 0.1
"""The first step is told at once, later ones at most this often: a message costs both ends together about 1 ms of CPU,
and a step of a small model takes few."""


@dataclass(frozen=True, slots=True)
class _Letter:
    """A response to send; `final` closes the stream."""

    sink: "WireSink"
    build: Callable[[], Any]
    final: bool


class WireSink:
    """One request's DenoiseSink: hands every event to the outbox and returns at once."""

    def __init__(self, sender: Any, outbox: "Outbox") -> None:
        self.sender = sender
        self.gone = False
        """Set by the outbox when the client went away, read by the engine before every step."""
        self._outbox = outbox
        self._steps_done = 0
        self._next_progress = 0.0
        self.tells_progress = False
        """Set once the request was read."""

    def progress(self, step: int) -> None:
        """See DenoiseSink."""
        self._steps_done = step
        now = time.monotonic()
        if not self.tells_progress or now < self._next_progress:
            return
        self._next_progress = now + _PROGRESS_SECONDS
        self._outbox.post(_Letter(self, lambda: event_response(wire.EVENT_PROGRESS, step), final=False))

    def preview(self, step: int, latents: torch.Tensor) -> None:
        """See DenoiseSink."""
        self._outbox.post(_Letter(self, lambda: event_response(wire.EVENT_PREVIEW, step, latents), final=False))

    def finished(self, latents: torch.Tensor) -> None:
        """See DenoiseSink."""
        steps = self._steps_done
        self._outbox.post(_Letter(self, lambda: event_response(wire.EVENT_FINISHED, steps, latents), final=True))

    def failed(self, error: Exception) -> None:
        """See DenoiseSink."""
        self._outbox.post(_Letter(self, lambda: failure_response(error), final=True))

    def cancelled(self) -> bool:
        """See DenoiseSink."""
        return self.gone


class Outbox:
    """Owns every response sender from `open` to its final flag.

    `keep_metrics` writes the metrics and answers whether the engine is idle, so that they need no more writing.
    """

    def __init__(self, keep_metrics: Callable[[], bool]) -> None:
        self._keep_metrics = keep_metrics
        self._letters: queue.SimpleQueue[_Letter | WireSink | None] = queue.SimpleQueue()
        self._open: set[WireSink] = set()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def open(self, sender: Any) -> WireSink:
        """Take over one request's response sender."""
        sink = WireSink(sender, self)
        self._letters.put(sink)
        return sink

    def post(self, letter: _Letter) -> None:
        """Send this after everything posted before."""
        self._letters.put(letter)

    def close(self) -> None:
        """Send what is posted and end the thread."""
        self._letters.put(None)
        self._thread.join()

    def _run(self) -> None:
        next_poll = next_metrics = 0.0
        idle = False
        while True:
            try:
                item = self._letters.get(timeout=None if idle else max(0.0, next_poll - time.monotonic()))
                if item is None:
                    break
                if isinstance(item, WireSink):
                    self._open.add(item)
                else:
                    self._send(item)
            except queue.Empty:
                pass
            now = time.monotonic()
            idle = False
            if now >= next_poll:
                self._drop_the_gone()
                after = time.monotonic()
                next_poll = after + min(max(_POLL_SECONDS, (after - now) / _POLL_SHARE), _POLL_LONGEST_SECONDS)
            if now >= next_metrics or not self._open:
                next_metrics = now + _METRICS_SECONDS
                idle = self._keep_metrics() and not self._open
        self._keep_metrics()

    def _drop_the_gone(self) -> None:
        for sink in [sink for sink in self._open if sink.sender.is_cancelled()]:
            sink.gone = True
            self._close(sink, None)

    def _send(self, letter: _Letter) -> None:
        if letter.sink not in self._open:
            return
        try:
            response = letter.build()
        except Exception as error:
            _log.exception("a response could not be built")
            letter.sink.gone = True
            self._close(letter.sink, failure_response(error))
            return
        if letter.final:
            self._close(letter.sink, response)
        else:
            self._deliver(letter.sink, response, flags=0)

    def _close(self, sink: WireSink, response: Any) -> None:
        self._open.discard(sink)
        self._deliver(sink, response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        # Triton does not unload the model while a sender lives, and whoever still holds the sink may live long.
        sink.sender = None

    def _deliver(self, sink: WireSink, response: Any, flags: int) -> None:
        try:
            if response is None:
                sink.sender.send(flags=flags)
            else:
                sink.sender.send(response, flags=flags)
        except Exception:
            _log.exception("a response could not be sent; its request is dropped")
            sink.gone = True
            sink.sender = None
            self._open.discard(sink)
