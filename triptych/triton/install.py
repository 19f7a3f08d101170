"""Find Triton: NVIDIA's image, a binary named by TRITONSERVER, or the `nvidia-pytriton` wheel.

Only the wheel's binaries are used, never PyTriton's own API. The wheel holds (0.7.0, Triton 2.51)::

    pytriton/tritonserver/bin/tritonserver
    pytriton/tritonserver/backends/python/{libtriton_python.so,triton_python_backend_utils.py}
    pytriton/tritonserver/python_backend_stubs/<X.Y>/triton_python_backend_stub     3.8 to 3.13
    pytriton/tritonserver/caches/local/libtritoncache_local.so
    nvidia_pytriton.libs/*.so                   hashed names; libpython for 3.13 only
"""

from __future__ import annotations

import importlib.util
import mmap
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from triptych.triton.errors import GlibcTooOldError, StubMissingError, TritonNotFoundError, UnsupportedPlatformError

STUB_NAME = "triton_python_backend_stub"
NGC_ROOT = Path("/opt/tritonserver")
WHEEL_GLIBC = (2, 35)

_LIBPYTHON = re.compile(rb"libpython(3[-0-9a-f]*\.[0-9]+)\.so\.[0-9.]+")


@dataclass(frozen=True)
class TritonInstall:
    """Where the parts of one Triton lie. `stub` belongs to the running Python."""

    binary: Path
    backends: Path
    caches: Path
    stub: Path
    library_dirs: tuple[Path, ...]
    from_wheel: bool

    def supports(self, flag: str) -> bool:
        """Whether the binary knows a command line flag; an unknown one makes Triton exit at once.

        Looks for the flag's name among the binary's strings: `--help` would load 500 MB of libraries on a GPU image.
        """
        return contains(self.binary, flag.removeprefix("--").encode())

    @property
    def stub_libpython(self) -> str:
        """File name of the shared libpython the stub links to, like `libpython3.11.so.1.0`."""
        return libpython_of(self.stub)

    @property
    def stub_knows_numpy2(self) -> bool:
        """Whether the stub was built with a pybind11 that finds numpy 2's `numpy._core`."""
        return contains(self.stub, b"numpy._core")


def running_python() -> str:
    """The running Python as `X.Y`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def contains(path: Path, needle: bytes) -> bool:
    """Whether a binary file holds these bytes."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view.find(needle) >= 0


def libpython_of(stub: Path) -> str:
    """The libpython a stub links to, or "" when it links none."""
    with stub.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        match = _LIBPYTHON.search(view)
        return match.group(0).decode() if match else ""


def glibc_version() -> tuple[int, int] | None:
    """The running glibc, or None where the C library is another one (musl)."""
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return None
    match = re.fullmatch(r"glibc (\d+)\.(\d+).*", text)
    return (int(match.group(1)), int(match.group(2))) if match else None


def locate(binary: Path | None = None, environ: Mapping[str, str] | None = None) -> TritonInstall:
    """Find a Triton that can serve models of the running Python.

    Order: `binary`, the TRITONSERVER variable, `/opt/tritonserver`, the pip wheel, `tritonserver` on PATH.

    Raises a `TritonSetupError` that says what to install.
    """
    if sys.platform != "linux":
        raise UnsupportedPlatformError(sys.platform)
    environ = os.environ if environ is None else environ
    named = binary or (Path(environ["TRITONSERVER"]) if environ.get("TRITONSERVER") else None)
    if named is not None:
        return _from_named(named)
    system = NGC_ROOT / "bin" / "tritonserver"
    if system.is_file():
        return _from_tree(NGC_ROOT)
    wheel = _wheel_root()
    if wheel is not None:
        return _from_wheel(wheel)
    on_path = shutil.which("tritonserver", path=environ.get("PATH"))
    if on_path is not None:
        return _from_named(Path(on_path))
    raise TritonNotFoundError((str(system), "the nvidia-pytriton package", "PATH"))


def _wheel_root() -> Path | None:
    # find_spec does not import pytriton, whose import takes most of a second and pulls in numpy and zmq.
    spec = importlib.util.find_spec("pytriton")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        root = Path(folder) / "tritonserver"
        if (root / "bin" / "tritonserver").is_file():
            return root
    return None


def _from_named(binary: Path) -> TritonInstall:
    """An install around a given binary or install folder."""
    path = binary / "bin" / "tritonserver" if binary.is_dir() else binary
    if not path.is_file():
        raise TritonNotFoundError((str(path),))
    root = path.resolve().parent.parent
    return _from_wheel(root) if (root / "python_backend_stubs").is_dir() else _from_tree(root)


def _from_wheel(root: Path) -> TritonInstall:
    found = glibc_version()
    if found is None or found < WHEEL_GLIBC:
        raise GlibcTooOldError(
            "another C library" if found is None else ".".join(map(str, found)), ".".join(map(str, WHEEL_GLIBC))
        )
    stubs = root / "python_backend_stubs"
    stub = stubs / running_python() / STUB_NAME
    if not stub.is_file():
        versions = sorted((p.parent.name for p in stubs.glob(f"*/{STUB_NAME}")), key=lambda v: int(v.split(".")[1]))
        raise StubMissingError(running_python(), tuple(versions))
    return TritonInstall(
        binary=root / "bin" / "tritonserver",
        backends=root / "backends",
        caches=root / "caches",
        stub=stub,
        library_dirs=(root.parent.parent / "nvidia_pytriton.libs",),
        from_wheel=True,
    )


def _from_tree(root: Path) -> TritonInstall:
    """NVIDIA's image: one stub, built for the image's own Python."""
    stub = root / "backends" / "python" / STUB_NAME
    if not stub.is_file():
        raise StubMissingError(running_python(), ())
    linked = _LIBPYTHON.fullmatch(libpython_of(stub).encode())
    version = linked.group(1).decode() if linked else ""
    if version != running_python():
        raise StubMissingError(running_python(), (version,) if version else ())
    return TritonInstall(
        binary=root / "bin" / "tritonserver",
        backends=root / "backends",
        caches=root / "caches",
        stub=stub,
        library_dirs=(root / "lib",),
        from_wheel=False,
    )
