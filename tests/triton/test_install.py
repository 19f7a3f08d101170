"""What is found, what is checked, and what the errors tell one to do."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from triptych.triton import (
    GlibcTooOldError,
    LibpythonMissingError,
    NumpyTooNewError,
    PythonNotOnPathError,
    StubMissingError,
    TritonNotFoundError,
    TritonRuntime,
    UnsupportedPlatformError,
    install,
    locate,
    prepare,
)
from triptych.triton.runtime import check_numpy, find_libpython


def test_finds_the_wheel(runtime: TritonRuntime) -> None:
    found = runtime.install
    assert found.from_wheel
    assert found.stub.parent.name == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert found.supports("--grpc-infer-allocation-pool-size")
    assert not found.supports("--no-such-flag")
    assert (runtime.backends / "python" / install.STUB_NAME).stat().st_mode & 0o111


def test_the_stub_gets_this_environment_first(runtime: TritonRuntime) -> None:
    environment = runtime.full_environment({"PATH": "/somewhere/else", "KEPT": "yes"})
    assert environment["PATH"].startswith(str(Path(sys.executable).parent))
    assert "nvidia_pytriton.libs" in environment["LD_LIBRARY_PATH"]
    assert environment["KEPT"] == "yes"


def test_numpy_2_is_refused_with_the_remedy(runtime: TritonRuntime) -> None:
    with pytest.raises(NumpyTooNewError, match=r"numpy 2\.1\.0.*pip install 'numpy<2'.*--backend inprocess"):
        check_numpy(runtime.install, "2.1.0")
    check_numpy(runtime.install, "1.26.4")


def test_numpy_2_is_fine_with_a_stub_that_knows_it(runtime: TritonRuntime, tmp_path: Path) -> None:
    stub = tmp_path / "stub"
    stub.write_bytes(b"...numpy._core...")
    check_numpy(replace(runtime.install, stub=stub), "2.1.0")


def test_missing_libpython_names_the_package(runtime: TritonRuntime, tmp_path: Path) -> None:
    stub = tmp_path / "stub"
    stub.write_bytes(b"\0libpython3.99.so.1.0\0")
    with pytest.raises(LibpythonMissingError, match=r"libpython3\.99\.so\.1\.0.*apt install libpython3"):
        find_libpython(replace(runtime.install, stub=stub))


def test_bundled_libpython_is_found_by_its_hashed_name(runtime: TritonRuntime, tmp_path: Path) -> None:
    stub = tmp_path / "stub"
    stub.write_bytes(b"\0libpython3-0a1b2c3d.13.so.1.0\0")
    (tmp_path / "libpython3-0a1b2c3d.13.so.1.0").touch()
    found = find_libpython(replace(runtime.install, stub=stub, library_dirs=(tmp_path,)))
    assert found == tmp_path / "libpython3-0a1b2c3d.13.so.1.0"


def test_python_without_a_stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "running_python", lambda: "3.99")
    with pytest.raises(StubMissingError, match=r"3\.99 \(it has: 3\.8, 3\.9, 3\.10"):
        locate()


def test_old_or_foreign_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "glibc_version", lambda: (2, 31))
    with pytest.raises(GlibcTooOldError, match=r">= 2\.35, this system has 2\.31"):
        locate()
    monkeypatch.setattr(install, "glibc_version", lambda: None)
    with pytest.raises(GlibcTooOldError, match="another C library"):
        locate()


def test_other_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UnsupportedPlatformError, match="--backend inprocess"):
        locate()


def test_nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(TritonNotFoundError, match="nowhere"):
        locate(Path("/nowhere/tritonserver"))
    monkeypatch.setattr(install, "_wheel_root", lambda: None)
    with pytest.raises(TritonNotFoundError, match="pip install 'nvidia-pytriton"):
        locate(environ={"PATH": str(tmp_path)})


@pytest.mark.parametrize("linked", ["3.8", None])
def test_image_built_for_another_python(tmp_path: Path, linked: str | None) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tritonserver").touch()
    (tmp_path / "backends" / "python").mkdir(parents=True)
    stub = tmp_path / "backends" / "python" / install.STUB_NAME
    stub.write_bytes(f"\0libpython{linked}.so.1.0\0".encode() if linked else b"nothing")
    with pytest.raises(StubMissingError, match=linked or "none"):
        locate(environ={"TRITONSERVER": str(tmp_path)})


def test_image_for_this_python_needs_no_copy(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tritonserver").touch()
    (tmp_path / "backends" / "python").mkdir(parents=True)
    stub = tmp_path / "backends" / "python" / install.STUB_NAME
    stub.write_bytes(f"\0libpython{install.running_python()}.so.1.0\0numpy._core".encode())
    runtime = prepare(locate(tmp_path / "bin" / "tritonserver"), tmp_path / "cache")
    assert runtime.backends == tmp_path / "backends"
    assert not (tmp_path / "cache").exists()


def test_interpreter_that_is_not_python3(
    monkeypatch: pytest.MonkeyPatch, runtime: TritonRuntime, tmp_path: Path
) -> None:
    (tmp_path / "python3").touch()
    (tmp_path / "python3.11").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3.11"))
    with pytest.raises(PythonNotOnPathError, match="virtual environment"):
        prepare(runtime.install, tmp_path)


def test_folder_is_reused_and_repaired(runtime: TritonRuntime, tmp_path: Path) -> None:
    first = prepare(runtime.install, tmp_path).backends
    stub = first / "python" / install.STUB_NAME
    inode = stub.stat().st_ino
    assert prepare(runtime.install, tmp_path).backends == first
    assert stub.stat().st_ino == inode
    stub.write_bytes(b"cut sho")
    assert prepare(runtime.install, tmp_path).backends == first
    assert stub.stat().st_size == runtime.install.stub.stat().st_size
    assert [p.name for p in tmp_path.iterdir()] == [first.name]


def test_folder_made_by_many_at_once(runtime: TritonRuntime, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: prepare(runtime.install, tmp_path).backends, range(8)))
    assert len(set(folders)) == 1
    assert [p.name for p in tmp_path.iterdir()] == [folders[0].name]


def test_importing_is_light() -> None:
    code = "import sys, triptych.triton; print(sorted({'numpy', 'torch', 'grpc', 'tritonclient'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
