"""A lane's place in the queue for a core."""

import os
import sys
import threading

_NICENESS = 8
"""Weighs a lane about a sixth of an ordinary thread where both want a core."""
_MOST = 19


def give_way() -> None:
    """Let everything else on the machine run before the calling thread. Only Linux has priorities of threads.

    Lanes compute without pause. The gateway, Triton and the decoder need a core for a moment each, to hand the lanes
    more work or to hand out what is done; at equal priority each of them would wait for a lane's time slice to end.
    """
    if sys.platform == "linux":
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(own + _NICENESS, _MOST))
