"""The registry never writes below a root: tried on a mount that is really read-only, and against a list of all files.

Permission bits prove nothing where tests run as root.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.families.conftest import write_model

_ROOTS = ("storage", "manual_downloads", "third_party")

# Everything that reads a root, in one process: the command, then the server's answer with its background hashing.
_USE = """
import json, time
from typer.testing import CliRunner
from triptych.models_cli import app
result = CliRunner().invoke(app, ["resolve", "sd15", "sdxl", "--json"])
assert result.exit_code == 1, result.output  # sdxl is a pickle

from fastapi.testclient import TestClient
from gateway.app import create_app
from gateway.settings import Settings
from tests.gateway.fake_backend import FakeBackend
with TestClient(create_app(Settings.load(None, {"runtime_directory": "other_runtime"}), FakeBackend())) as client:
    while True:
        [model] = client.get("/v1/registry", params={"alias": "sd15"}).json()["data"]
        if model["digest"]["state"] != "pending":
            break
        time.sleep(0.01)
print(json.dumps([json.loads(result.stdout)["data"][0], model]))
"""
_MOUNT_AND_USE = "for root in {roots}; do mount --bind $root $root && mount -o remount,bind,ro $root || exit 99; done; "


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_model(tmp_path / "manual_downloads" / "sd15")
    for root in _ROOTS:
        (tmp_path / root).mkdir(exist_ok=True)
    (tmp_path / "storage" / "v1-5-pruned.safetensors.part").write_bytes(b"half")
    (tmp_path / "third_party" / "sdxl").mkdir()
    (tmp_path / "third_party" / "sdxl" / "model.ckpt").write_bytes(b"\x80\x04.")
    return tmp_path


def test_nothing_below_a_root_changes(place: Path) -> None:
    before = _listing(place)
    _check(_use(place, [sys.executable, "-c", _USE]))
    assert _listing(place) == before


def test_it_works_on_read_only_mounts(place: Path) -> None:
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("mounting needs root and unshare")
    mount = _MOUNT_AND_USE.format(roots=" ".join(_ROOTS))
    refused = _use(place, ["unshare", "--mount", "sh", "-c", f"{mount} touch storage/x"])
    if refused.returncode == 99 or "unshare" in refused.stderr:
        pytest.skip(f"this machine does not let us mount: {refused.stderr}")
    assert refused.returncode != 0 and "Read-only file system" in refused.stderr
    _check(_use(place, ["unshare", "--mount", "sh", "-c", f'{mount} exec "$0" -c "$1"', sys.executable, _USE]))


def _use(place: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=60)


def _check(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    for report in json.loads(done.stdout):
        assert (report["path"], report["digest"]["state"]) == ("manual_downloads/sd15", "done")


def _listing(place: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and modification times of all that lies below the roots, the roots included."""
    entries = [path for root in _ROOTS for path in ((place / root), *(place / root).rglob("*"))]
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in entries)
