"""Make an install runnable: a writable backend folder and the environment variables Triton and its stubs need."""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from triptych.triton.errors import LibpythonMissingError, NumpyTooNewError, PythonNotOnPathError
from triptych.triton.install import STUB_NAME, TritonInstall, running_python

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TritonRuntime:
    """Everything a launch needs besides the settings."""

    install: TritonInstall
    backends: Path
    environment: tuple[tuple[str, str], ...]
    """Variables to set on top of the parent's."""

    def full_environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """The child's whole environment."""
        return {**(os.environ if base is None else base), **dict(self.environment)}


def default_cache_dir(environ: Mapping[str, str] | None = None) -> Path:
    """`$XDG_CACHE_HOME/triptych/triton`, or the same under `~/.cache`."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "triptych" / "triton"


def prepare(install: TritonInstall, cache_dir: Path | None = None) -> TritonRuntime:
    """Check the environment and return a runtime, building its folder on first use (3 MB, re-used afterwards).

    Safe to call from several processes at once. Raises a `TritonSetupError` that says what to install.
    """
    check_numpy(install)
    bin_dir = _interpreter_dir()
    libpython = find_libpython(install)
    backends = _backend_folder(install, cache_dir or default_cache_dir()) if install.from_wheel else install.backends
    libraries = [*map(str, install.library_dirs), *([str(libpython.parent)] if libpython else [])]
    return TritonRuntime(
        install=install,
        backends=backends,
        environment=(
            ("LD_LIBRARY_PATH", _prepend(libraries, os.environ.get("LD_LIBRARY_PATH"))),
            # The stub embeds Python, which finds its home through the first `python3` on PATH; PYTHONPATH is ignored.
            ("PATH", _prepend([str(bin_dir)], os.environ.get("PATH", os.defpath))),
        ),
    )


def check_numpy(install: TritonInstall, version: str | None = None) -> None:
    """Raise `NumpyTooNewError` for numpy 2 with a stub that only knows numpy 1.

    The stub would not fail: every tensor would arrive with 0 bytes.
    """
    if version is None:
        try:
            version = importlib.metadata.version("numpy")
        except importlib.metadata.PackageNotFoundError:
            return  # the stub itself says so, clearly, when it loads a model
    if int(version.split(".", 1)[0]) >= 2 and not install.stub_knows_numpy2:
        raise NumpyTooNewError(version)


def find_libpython(install: TritonInstall) -> Path | None:
    """The shared libpython the stub links to; None when the stub links none.

    pyenv and conda keep it in the interpreter's own `lib`; Debian in the multiarch folder, from a package of its own
    (`libpython3.11`), so a working `python3.11` does not mean that it is there.
    """
    name = install.stub_libpython
    if not name:
        return None
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    folders = [
        *install.library_dirs,
        Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib"),
        Path(sys.base_prefix) / "lib",
        *(Path(root) / multiarch for root in ("/usr/lib", "/lib") if multiarch),
        Path("/usr/lib64"),
        Path("/usr/lib"),
        Path("/usr/local/lib"),
    ]
    looked_in = tuple(dict.fromkeys(map(str, folders)))
    for folder in looked_in:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise LibpythonMissingError(name, f"libpython{running_python()}", looked_in)


def _interpreter_dir() -> Path:
    """The running environment's `bin`, checked to hold the `python3` that the stub will look for."""
    executable = Path(sys.executable)
    python3 = executable.parent / "python3"
    if not (python3.exists() and python3.samefile(executable)):
        raise PythonNotOnPathError(str(executable.parent), str(executable))
    return executable.parent


def _prepend(folders: list[str], current: str | None) -> str:
    return os.pathsep.join(dict.fromkeys([*folders, *(current.split(os.pathsep) if current else [])]))


def _backend_folder(install: TritonInstall, cache_dir: Path) -> Path:
    """Copy the backends with the right stub beside them; the folder's name is a hash of what went in.

    Copies, not links: a virtual environment may be rebuilt under a running server. Built aside and renamed into
    place, so another process sees a whole folder or none.
    """
    target = cache_dir / f"backends-{_stamp(install)}"
    if _complete(install, target):
        return target
    cache_dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=cache_dir))
    try:
        built = scratch / "backends"
        shutil.copytree(install.backends, built, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(install.stub, built / "python" / STUB_NAME)
        if target.exists() and not _complete(install, target):
            target.rename(scratch / "damaged")
        try:
            built.rename(target)
            logger.info("prepared Triton's backend folder %s", target)
        except OSError:
            if not _complete(install, target):  # else another process was first, with the same content
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _sources(install: TritonInstall) -> list[tuple[Path, Path]]:
    """(source, path inside the folder) of each file."""
    files = sorted(p for p in install.backends.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    pairs = [(path, path.relative_to(install.backends)) for path in files]
    return [*pairs, (install.stub, Path("python") / STUB_NAME)]


def _stamp(install: TritonInstall) -> str:
    digest = hashlib.sha256(running_python().encode())
    for source, _ in _sources(install):
        stat = source.stat()
        digest.update(f"\0{source}\0{stat.st_size}\0{stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _complete(install: TritonInstall, folder: Path) -> bool:
    def same_size(source: Path, copy: Path) -> bool:
        return copy.is_file() and copy.stat().st_size == source.stat().st_size

    return folder.is_dir() and all(same_size(source, folder / path) for source, path in _sources(install))
