"""What processes of this machine take of its memory, from Linux's /proc; elsewhere nothing is known.

A process takes pages of its own (anonymous and shared memory) and pages of files: libraries, which every process that
loaded them shares and the kernel can drop, and weights, where a runtime maps them.
"""

import contextlib
import ctypes
import os
import sys
from pathlib import Path

_PROC = Path("/proc")
_PEAK, _NOW = "VmHWM", "VmRSS"
_OWN = ("RssAnon", "RssShmem")
_FILES = "RssFile"
_RESET_PEAK = "5"
"""Written to clear_refs: the peak begins anew with what is resident now."""
_M_ARENA_MAX = -8
_ARENAS_VARIABLE = "MALLOC_ARENA_MAX"


def own_bytes(pid: int | str = "self") -> int | None:
    """What the process alone has in memory now, without pages of files; None where it cannot be told."""
    sizes = _status(pid)
    return None if sizes is None else sum(sizes.get(name, 0) for name in _OWN)


def peak_bytes(pid: int | str = "self") -> int | None:
    """The most resident memory that a process ever had, pages of files included; None where it cannot be told."""
    sizes = _status(pid)
    return None if sizes is None else sizes.get(_PEAK)


def peak_own_bytes(weights: Path) -> int | None:
    """The most that this process had since `begin_peak`, with no pages of files but those below `weights`."""
    sizes = _status("self")
    if sizes is None or _PEAK not in sizes:
        return None
    return sizes[_PEAK] - sizes.get(_FILES, 0) + _mapped_bytes(weights)


def begin_peak() -> None:
    """Forget what this process's memory once was. Where that may not be done, a peak may be an earlier one."""
    with contextlib.suppress(OSError):
        (_PROC / "self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def find_process(argument_end: str) -> int | None:
    """A living process one of whose arguments ends so; None where there is none."""
    for entry in _PROC.glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended since the listing
        if any(word.endswith(argument_end.encode()) for word in words):
            return int(entry.name)
    return None


def is_running(pid: int) -> bool:
    """Whether the process still has memory: one that has ended and was not reaped has none."""
    return _NOW in (_status(pid) or {})


def share_one_arena() -> None:
    """Let all threads of this process allocate from one place, of which `give_back` can return everything.

    glibc gives each thread an arena, and never returns the end of any but the first, up to 64 MiB of each. Comes before
    the threads. Somebody's own MALLOC_ARENA_MAX is left as it is.
    """
    if sys.platform == "linux" and _ARENAS_VARIABLE not in os.environ:
        tune = getattr(ctypes.CDLL(None), "mallopt", None)
        if tune is not None:
            tune(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return to the system what this process has freed."""
    if sys.platform == "linux":
        # The C library keeps freed memory for the next allocation; only glibc has the call.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _status(pid: int | str) -> dict[str, int] | None:
    """Bytes by name of the process's memory; None where there is no such process, or no /proc."""
    try:
        text = (_PROC / str(pid) / "status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    pairs = (line.split() for line in text.splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in pairs if len(words) == 3 and words[2] == "kB"}


def _mapped_bytes(folder: Path) -> int:
    """Resident pages of this process that are of files below the folder."""
    total, inside = 0, False
    below = f" {folder.resolve()}/"
    for line in (_PROC / "self/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, rest = line.partition(":")
        if name == "Rss":
            total += int(rest.split()[0]) * 1024 if inside else 0
        elif "-" in name:  # a mapping's first line begins with its addresses
            inside = below in line
    return total
