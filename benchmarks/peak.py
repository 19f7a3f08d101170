"""The most memory that a process ever held."""

from pathlib import Path

_STATUS = Path("/proc/self/status")
_FIELD = "VmHWM:"


def peak_bytes() -> int:
    """Bytes of this program's high-water mark; mapped files count.

    Not `ru_maxrss`: Linux hands it on to a started program, so a child of a big process would begin with its parent's.

    Raises:
        RuntimeError: no /proc here (Linux has it)
    """
    if not _STATUS.exists():
        raise RuntimeError("peak memory is read from /proc/self/status, which only Linux has")
    line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith(_FIELD))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """From now on the high-water mark is what is held now. Raises OSError where there is no /proc, which Linux has."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
