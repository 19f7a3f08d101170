"""Server processes come up, are measured and are surely gone."""

import sys
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.metrics import parse_counters
from benchmarks.processes import ServerError, ServerProcess, free_port

WITH_CHILD = """
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"])
http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind="127.0.0.1")
"""


def test_a_server_and_its_stubborn_child_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.processes._GRACE_S", 1.0)
    port = free_port()
    with ServerProcess([sys.executable, "-c", WITH_CHILD, str(port)], tmp_path / "log") as server:
        seconds = server.wait_until_ok(f"http://127.0.0.1:{port}/", 20)
        memory = server.memory()
        family = server.family()
    assert 0 < seconds < 20
    assert [process.role for process in memory] == ["main", "worker"]
    assert all(process.rss_mib > 1 for process in memory)
    assert len(family) == 2
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    with (
        ServerProcess([sys.executable, "-c", "raise SystemExit('no model here')"], tmp_path / "log") as server,
        pytest.raises(ServerError, match=r"(?s)ended with 1.*no model here"),
    ):
        server.wait_until_ok(f"http://127.0.0.1:{free_port()}/", 20)


def test_counters_are_summed_over_models() -> None:
    page = """# TYPE triptych_engine_ticks_total counter
triptych_engine_ticks_total{model="a"} 3
triptych_engine_ticks_total{model="b"} 4
# TYPE triptych_engine_rows_total counter
triptych_engine_rows_total{model="a"} 30
triptych_engine_rows_total{model="b"} 20
"""
    found = parse_counters(page)
    assert found is not None
    assert (found.steps, found.rows) == (7, 50)
    assert parse_counters("# TYPE up gauge\nup 1\n") is None
