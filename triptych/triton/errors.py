"""What can go wrong before and while Triton runs.

::

    TritonError
    ├── TritonSetupError               this machine or environment cannot run Triton
    │   ├── UnsupportedPlatformError   not Linux
    │   ├── GlibcTooOldError           the pip wheel's binaries need a newer C library
    │   ├── TritonNotFoundError        no tritonserver binary
    │   ├── StubMissingError           no Python backend stub for the running Python
    │   ├── LibpythonMissingError      the stub's shared libpython is not installed
    │   ├── NumpyTooNewError           numpy 2 with a stub that only knows numpy 1
    │   └── PythonNotOnPathError       no `python3` beside the running interpreter
    ├── PortInUseError                 a port asked for by number is taken
    └── TritonStartError               Triton died, or was not ready in time; carries the log's last lines

Every message ends with what to do about it.
"""

from __future__ import annotations

INPROCESS_HINT = "or run without Triton: --backend inprocess"


class TritonError(RuntimeError):
    """Base of every error of this package."""


class TritonSetupError(TritonError):
    """This machine or environment cannot run Triton; retrying will not help."""


class UnsupportedPlatformError(TritonSetupError):
    """Triton runs on Linux only."""

    def __init__(self, platform: str) -> None:
        super().__init__(f"Triton runs on Linux, this is {platform}; use WSL 2 or a container, {INPROCESS_HINT}")


class GlibcTooOldError(TritonSetupError):
    """The C library is older than the wheel's binaries need, or is not glibc (Alpine)."""

    def __init__(self, found: str, needed: str) -> None:
        super().__init__(
            f"Triton's pip wheel needs glibc >= {needed}, this system has {found}; "
            f"use Debian 12, Ubuntu 22.04 or newer, or NVIDIA's Triton image, {INPROCESS_HINT}"
        )


class TritonNotFoundError(TritonSetupError):
    """No tritonserver binary in any known place."""

    def __init__(self, looked_at: tuple[str, ...]) -> None:
        super().__init__(
            f"no tritonserver binary (looked at: {', '.join(looked_at)}); "
            f"pip install 'nvidia-pytriton==0.7.0', or set TRITONSERVER to the binary, {INPROCESS_HINT}"
        )


class StubMissingError(TritonSetupError):
    """The Python backend has no stub for the running Python."""

    def __init__(self, python: str, available: tuple[str, ...]) -> None:
        super().__init__(
            f"Triton's Python backend has no stub for Python {python} "
            f"(it has: {', '.join(available) or 'none'}); use one of those versions, {INPROCESS_HINT}"
        )


class LibpythonMissingError(TritonSetupError):
    """The shared libpython that the stub links to is nowhere to be found."""

    def __init__(self, library: str, package: str, looked_in: tuple[str, ...]) -> None:
        super().__init__(
            f"Triton's Python stub needs {library} (looked in: {', '.join(looked_in)}); "
            f"on Debian or Ubuntu: apt install {package}; with pyenv: "
            f"PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install; {INPROCESS_HINT}"
        )


class NumpyTooNewError(TritonSetupError):
    """numpy 2 with a stub built for numpy 1: every tensor would arrive empty, without an error."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"numpy {found} is installed, but this Triton's Python backend only works with numpy < 2 "
            f"(with numpy 2 every tensor silently arrives with 0 bytes); "
            f"pip install 'numpy<2' in this environment, {INPROCESS_HINT}"
        )


class PythonNotOnPathError(TritonSetupError):
    """The stub finds its environment through `python3`; here that is another interpreter or missing."""

    def __init__(self, folder: str, executable: str) -> None:
        super().__init__(
            f"{folder}/python3 is not the running interpreter {executable}, and Triton's Python stub takes the "
            f"environment of the first python3 on PATH; run from a virtual environment "
            f"(python -m venv), {INPROCESS_HINT}"
        )


class PortInUseError(TritonError):
    """A port that was asked for by number is taken."""

    def __init__(self, name: str, address: str, port: int) -> None:
        super().__init__(f"{name} port {address}:{port} is in use; stop what listens there or use 0 for a free port")


class TritonStartError(TritonError):
    """Triton died while starting or was not ready in time.

    `log_tail` holds the last lines of its log, without the tables it prints.
    """

    def __init__(self, reason: str, log_tail: str, log_file: str) -> None:
        self.reason = reason
        self.log_tail = log_tail
        super().__init__(f"{reason}; the log ({log_file}) ends with:\n{log_tail or '(empty)'}")
