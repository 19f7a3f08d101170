"""The process between the supervisor and Triton: whatever happens, nothing of Triton stays behind.

Run as a script with the standard library only (`python -I -S guard.py ...`, 15 ms, 10 MB)::

    supervisor --SIGTERM--> guard --SIGTERM--> tritonserver --> stubs
                            guard --SIGKILL--> the whole group, when the grace is over

Why a process and not `preexec_fn` with PR_SET_PDEATHSIG: code between fork and exec may deadlock in a process with
threads, and the death signal follows the *thread* that forked, not the process. The guard has one thread, so for it
both are sound. It also adopts orphaned stubs (PR_SET_CHILD_SUBREAPER), which in a container would become zombies under
a gateway that runs as pid 1.

It reports on stdout: `pid <n>` once Triton runs, `exit <n>` at the end (negative: killed by that signal). Triton's own
output goes to stderr. SIGQUIT asks for the end at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SHM_ROOT = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory lives on Linux
PARENT_POLL_S = 0.5
WATCHED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD})


def sweep(group: int | None, shm_prefix: str) -> None:
    """Kill what is left of Triton's process group and remove its shared memory regions."""
    if group is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    if shm_prefix:
        for region in SHM_ROOT.glob(f"{shm_prefix}*"):
            with contextlib.suppress(OSError):
                region.unlink()


def _prctl(option: int, value: int) -> None:
    # Failure is not fatal: it only loses one of several nets (gVisor lacks some options).
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _spawn(argv: Sequence[str]) -> int:
    """Start Triton in a process group of its own, to be killed when this process dies."""
    guard = os.getpid()
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # both sides do it, so neither has to wait for the other
        return pid
    try:
        os.setpgid(0, 0)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == guard:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
            os.dup2(2, 1)
            os.execv(argv[0], list(argv))  # noqa: S606 - a fixed argument list, no shell
    except OSError as error:
        os.write(2, f"error: cannot execute {argv[0]}: {error}\n".encode())
    os._exit(127)


def _reap(server: int) -> int | None:
    """Reap every dead child; the server's return code if it was among them."""
    code: int | None = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == server:
                code = os.waitstatus_to_exitcode(status)
    return code


def _adopted() -> list[int]:
    """Children of this process: stubs that lost their server."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


def _clear(server: int, shm_prefix: str) -> None:
    """End and reap everything Triton started, also what left its process group."""
    sweep(server, shm_prefix)
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        _reap(server)
        children = _adopted()
        if not children:
            break
        for pid in children:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    sweep(None, shm_prefix)  # a stub may have grown its region while it was dying


def _report(line: str) -> None:
    with contextlib.suppress(OSError):  # the supervisor may be gone
        os.write(1, f"{line}\n".encode())


def watch(parent: int, grace_s: float, shm_prefix: str, argv: Sequence[str]) -> int:
    """Run Triton until it ends, the parent dies or a signal asks for the end. Returns Triton's code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        return 1
    server = _spawn(argv)
    _report(f"pid {server}")
    kill_at: float | None = None
    code: int | None = None
    while code is None:
        received = signal.sigtimedwait(WATCHED, PARENT_POLL_S)
        asked = received.si_signo if received else None
        code = _reap(server)
        if code is not None:
            break
        end_now = asked == signal.SIGQUIT or (kill_at is not None and time.monotonic() >= kill_at)
        if end_now:
            sweep(server, "")
        elif kill_at is None and (asked in (signal.SIGTERM, signal.SIGINT) or os.getppid() != parent):
            kill_at = time.monotonic() + grace_s
            os.kill(server, signal.SIGTERM)
    _clear(server, shm_prefix)
    _report(f"exit {code}")
    return code


def main(arguments: Sequence[str]) -> int:
    """`guard.py PARENT GRACE_SECONDS SHM_PREFIX PROGRAM [ARGUMENT ...]`."""
    parent, grace_s, shm_prefix, *argv = arguments
    code = watch(int(parent), float(grace_s), shm_prefix, argv)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
