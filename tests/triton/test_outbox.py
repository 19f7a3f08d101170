"""The outbox hears of clients that left, also after it had to wait for a core. The rest of it is tested on Triton."""

import sys
import time
from types import ModuleType

import pytest


class Sender:
    """A response sender: the first question whether its client left takes long; after it the client has left."""

    def __init__(self, first_seconds: float) -> None:
        self.first_seconds = first_seconds
        self.asked = 0
        self.flags: list[int] = []

    def is_cancelled(self) -> bool:
        self.asked += 1
        if self.asked == 1:
            time.sleep(self.first_seconds)
            return False
        return True

    def send(self, *, flags: int) -> None:
        self.flags.append(flags)


def test_one_slow_question_does_not_put_off_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of the time is meant for questions; a thread that was kept waiting has not asked that much more."""
    triton = ModuleType("triton_python_backend_utils")
    triton.TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", triton)
    from triptych.triton.models.outbox import Outbox

    outbox, sender = Outbox(lambda: True), Sender(first_seconds=0.3)
    sink = outbox.open(sender)
    deadline = time.monotonic() + 5
    while not sink.cancelled():
        assert time.monotonic() < deadline, "nobody asked again whether the client had left"
        time.sleep(0.01)
    outbox.close()
    assert (sender.asked, sender.flags) == (2, [1])
