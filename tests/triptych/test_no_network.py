"""Serving needs no network: gateway and engine draw a picture in a network namespace that has none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from families.catalog import load_source
from families.manifest import Component
from tests.support.published import publish
from tests.support.tiny_model import write_tiny_model

_SERVE = """
import asyncio, socket
from pathlib import Path
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    assert error.errno == 101, error  # ENETUNREACH: there really is no network
from fastapi.testclient import TestClient
from gateway.adapters.inprocess import InProcessBackend
from gateway.app import create_app
from gateway.settings import Settings
settings = Settings.load(None, {"backend.kind": "inprocess", "backend.runtime": "torch", "backend.threads": 1})
backend = InProcessBackend(Path("repository"), ["tiny"], settings.backend)
with TestClient(create_app(settings, backend)) as client:
    client.portal.call(backend.open)
    body = {"model": "tiny", "prompt": "a red top", "num_inference_steps": 2, "response_format": "b64_json"}
    answer = client.post("/v1/images/generations", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"][0]["b64_json"].startswith("iVBOR")
    registry = client.get("/v1/registry", params={"alias": "wardrobe"})
    assert registry.json()["data"][0]["status"] == "found", registry.text
print("drawn")
"""


def _require_namespaces() -> None:
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("taking the network away needs root and unshare")
    if subprocess.run(["unshare", "--net", "--mount", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let us take the network away")


def test_a_picture_without_a_network(tmp_path: Path) -> None:
    _require_namespaces()
    source = load_source(write_tiny_model(tmp_path / "models" / "tiny"))
    for component in Component:
        publish(source, tmp_path / "repository", component, onnx=False)
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "TRIPTYCH_MODELS__DIRECTORIES": f'["{tmp_path / "models"}"]',
    }
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", _SERVE],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "drawn"), done.stderr


_CURIOUS = """
import contextlib, socket, subprocess, sys
_CONNECT = "import socket; socket.socket().connect_ex(('192.0.2.7', 443))"

def test_in_this_process():
    socket.socket().connect_ex(("192.0.2.7", 443))

def test_a_name():
    with contextlib.suppress(OSError):
        socket.create_connection(("models.example", 443))

def test_at_home():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1])).close()

def test_in_a_child():
    subprocess.run([sys.executable, "-c", _CONNECT], check=True)
"""


def test_attempts_to_leave_the_machine_fail_a_session(tmp_path: Path) -> None:
    """Both counts that the whole suite runs under, on tests that hide their attempts."""
    _require_namespaces()
    (tmp_path / "test_curious.py").write_text(_CURIOUS)
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.support.outside"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.offline", *pytest_command, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "4 passed" in done.stdout
    told = [line for line in done.stdout.splitlines() if " in " in line and "::" in line]
    assert [(line.partition(" ")[0], line.rpartition("::test_")[2]) for line in told] == [
        ("socket.connect", "in_this_process (call)"),
        ("1", "in_this_process"),
        ("socket.getaddrinfo", "a_name (call)"),
        ("1", "a_name"),
        ("1", "in_a_child"),
    ]
    assert "exit status 1, 3 attempts to leave the machine" in done.stderr


_RUNTIMES = """
import time
import engine.runtimes.onnx_runtime
import export.verification.session
time.sleep(12)
"""


def test_onnx_runtime_reports_to_nobody() -> None:
    """It would nine seconds after its import, from threads of its own."""
    _require_namespaces()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.offline", sys.executable, "-c", _RUNTIMES],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        0, "offline: exit status 0, 0 attempts to leave the machine",
    ), done.stderr  # fmt: skip
