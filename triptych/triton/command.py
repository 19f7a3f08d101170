"""Triton's command line from typed settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from triptych.triton.runtime import TritonRuntime

MIB = 1 << 20


@dataclass(frozen=True)
class Ports:
    """The three ports; 0 means any free one."""

    http: int = 0
    grpc: int = 0
    metrics: int = 0


@dataclass(frozen=True)
class TritonSettings:
    """How to run one Triton. Seconds and bytes, as the names say."""

    model_repository: Path
    models: tuple[str, ...]
    """Loaded at start, by name; Triton is ready when all of them are."""
    on_demand: bool = False
    """Somebody loads models while Triton runs: then none need be named here."""
    address: str = "127.0.0.1"
    """Loopback: Triton has no authentication."""
    ports: Ports = Ports()
    exit_timeout_s: int = 30
    """How long a stop waits for requests in flight."""
    stub_timeout_s: int = 300
    """How long a Python model may take to load or unload; Triton's own 30 s is short for torch."""
    shm_bytes: int = MIB
    """First size of each Python model's shared memory region; grows by `shm_growth_bytes`, as needed."""
    shm_growth_bytes: int = MIB
    response_cache_bytes: int = 0
    """0 switches the cache off. Its key leaves out shape and dtype: only for inputs of fixed shape."""
    grpc_response_pool: int = 64
    """Most response objects kept per gRPC stream handler; a Triton that lacks the flag keeps them all."""
    latency_summaries: bool = True
    """p50 to p99.9 per model; Triton 2.51 has these, histograms (for decoupled models) came later."""
    rate_limit: bool = False
    """Honour `rate_limiter.resources` of the models' configurations."""
    gpu_metrics: bool | None = None
    """None: when the machine has an NVIDIA device."""
    log_verbose: int = 0


def build_argv(runtime: TritonRuntime, settings: TritonSettings, ports: Ports, shm_prefix: str) -> list[str]:
    """Triton's argument vector.

    `ports` are the resolved ones. `shm_prefix` names the Python backend's shared memory regions, so that the ones a
    killed server leaves behind can be told from any other's.
    """
    if not settings.models and not settings.on_demand:
        raise ValueError("TritonSettings.models is empty: name at least one model to load")
    install = runtime.install
    argv = [
        str(install.binary),
        f"--model-repository={settings.model_repository}",
        "--model-control-mode=explicit",
        *(f"--load-model={name}" for name in settings.models),
        "--strict-readiness=true",
        "--exit-on-error=true",
        f"--exit-timeout-secs={settings.exit_timeout_s}",
        # Configurations are generated whole. Completing them starts every Python stub a second time, which costs
        # a second per model and runs `auto_complete_config` without a GPU.
        "--disable-auto-complete-config",
        f"--http-address={settings.address}",
        f"--http-port={ports.http}",
        f"--grpc-address={settings.address}",
        f"--grpc-port={ports.grpc}",
        f"--backend-directory={runtime.backends}",
        f"--backend-config=python,stub-timeout-seconds={settings.stub_timeout_s}",
        f"--backend-config=python,shm-default-byte-size={settings.shm_bytes}",
        f"--backend-config=python,shm-growth-byte-size={settings.shm_growth_bytes}",
        f"--backend-config=python,shm-region-prefix-name={shm_prefix}",
        "--log-format=ISO8601",
        f"--log-verbose={settings.log_verbose}",
        *_metrics(settings, ports),
    ]
    if install.supports("--grpc-max-response-pool-size"):
        argv.append(f"--grpc-max-response-pool-size={settings.grpc_response_pool}")
    if settings.response_cache_bytes:
        argv.append(f"--cache-config=local,size={settings.response_cache_bytes}")
        argv.append(f"--cache-directory={install.caches}")
    if settings.rate_limit:
        argv.append("--rate-limit=execution_count")
    return argv


def build_environment(
    runtime: TritonRuntime, settings: TritonSettings, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Triton's whole environment on top of `base`, by default our own."""
    whole = runtime.full_environment(base)
    if settings.on_demand:
        # glibc's arena for each thread would keep what was freed with every model that came and went.
        whole.setdefault("MALLOC_ARENA_MAX", "1")
    return whole


def has_nvidia_device() -> bool:
    """Whether the kernel shows an NVIDIA device (WSL 2 has only /dev/dxg)."""
    return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()


def _metrics(settings: TritonSettings, ports: Ports) -> list[str]:
    gpu = has_nvidia_device() if settings.gpu_metrics is None else settings.gpu_metrics
    # Triton accepts metrics settings it does not know without a word, so no check for support is needed.
    return [
        "--allow-metrics=true",
        f"--metrics-address={settings.address}",
        f"--metrics-port={ports.metrics}",
        f"--allow-gpu-metrics={str(gpu).lower()}",
        "--metrics-config=histogram_latencies=true",
        f"--metrics-config=summary_latencies={str(settings.latency_summaries).lower()}",
    ]
