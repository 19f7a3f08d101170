"""The command line, ports and logs."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from triptych.triton import PortInUseError, Ports, TritonRuntime, TritonSettings, build_argv, logs
from triptych.triton.command import build_environment
from triptych.triton.ports import lease

SETTINGS = TritonSettings(model_repository=Path("/models"), models=("sdxl.denoiser", "sdxl.vae"), gpu_metrics=False)


def test_argv(runtime: TritonRuntime) -> None:
    argv = build_argv(runtime, SETTINGS, Ports(1, 2, 3), "mine-")
    assert argv[0] == str(runtime.install.binary)
    assert {
        "--model-repository=/models",
        "--load-model=sdxl.denoiser",
        "--load-model=sdxl.vae",
        "--http-address=127.0.0.1",
        "--http-port=1",
        "--grpc-port=2",
        "--metrics-port=3",
        "--allow-gpu-metrics=false",
        "--backend-config=python,shm-region-prefix-name=mine-",
    } <= set(argv)
    assert not any(argument.startswith(("--cache", "--rate-limit", "--grpc-max")) for argument in argv)


def test_only_where_models_come_and_go_threads_share_an_arena(runtime: TritonRuntime) -> None:
    moving = replace(SETTINGS, on_demand=True)
    assert "MALLOC_ARENA_MAX" not in build_environment(runtime, SETTINGS, {})
    assert build_environment(runtime, moving, {})["MALLOC_ARENA_MAX"] == "1"
    assert build_environment(runtime, moving, {"MALLOC_ARENA_MAX": "4"})["MALLOC_ARENA_MAX"] == "4"


def test_optional_parts(runtime: TritonRuntime, tmp_path: Path) -> None:
    binary = tmp_path / "tritonserver"
    binary.write_bytes(b"a newer one with grpc-max-response-pool-size")
    newer = replace(runtime, install=replace(runtime.install, binary=binary))
    argv = build_argv(newer, replace(SETTINGS, response_cache_bytes=1024, rate_limit=True), Ports(), "p")
    assert "--grpc-max-response-pool-size=64" in argv
    assert "--cache-config=local,size=1024" in argv
    assert "--rate-limit=execution_count" in argv


def test_no_models_is_an_error(runtime: TritonRuntime) -> None:
    with pytest.raises(ValueError, match="models is empty"):
        build_argv(runtime, replace(SETTINGS, models=()), Ports(), "p")


def test_leased_ports_are_free_distinct_and_held() -> None:
    held = lease("127.0.0.1", Ports())
    try:
        ports = [held.ports.http, held.ports.grpc, held.ports.metrics]
        assert len(set(ports)) == 3
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(("127.0.0.1", ports[0]))
        with socket.socket() as server:  # what Triton does
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", ports[0]))
            server.listen()
    finally:
        held.close()


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"grpc port 127.0.0.1:{port} is in use"):
            lease("127.0.0.1", Ports(grpc=port))


def test_logs_rotate_and_show_their_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "triton.log"
    for number in range(5):
        descriptor = logs.open_rotated(path)
        os.write(descriptor, f"start {number}\n+---+\n| a |\n\nend {number}\n".encode())
        os.close(descriptor)
    assert sorted(p.name for p in path.parent.iterdir()) == [f"triton.log{s}" for s in ("", ".1", ".2", ".3")]
    assert logs.tail(path) == "start 4\nend 4"
    assert logs.tail(path.with_name("triton.log.3"), lines=1) == "end 1"
    assert logs.tail(tmp_path / "none") == ""
