"""Components come into a Triton on this machine and leave it, by its explicit model control."""

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from google.protobuf import json_format, text_format  # type: ignore[import-untyped]
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc.aio import InferenceServerClient

from families.manifest import Component
from families.repository import folder_bytes, newest_release, version_folder
from families.serving_mark import ServingMark
from gateway.adapters.memory import find_process, is_running, peak_bytes
from gateway.adapters.nvml import gpu_used_bytes
from gateway.adapters.triton.errors import translated, unavailable
from gateway.domain.backend import Release
from gateway.domain.errors import BackendError, BackendFailed
from gateway.domain.residency import Unit

_CONFIG_FILE = "config.pbtxt"
_PROBE_TIMEOUT = 2.0
_POLL_SECONDS = 0.02
_GONE_SECONDS = 60.0
_GONE_STATES = frozenset({"", "UNAVAILABLE"})

_PROCESS_BYTES = 128 * 2**20
_TORCH_PROCESS_BYTES = 512 * 2**20
"""Each component is a process of its own, which takes so much before it holds weights; the step engine's has torch."""
_COPIES = 2
"""While a graph is read its weights are there twice."""


class TritonHost:
    """Releases are those that the repository held when they were first asked for: they stay until the gateway ends."""

    def __init__(
        self,
        client: Callable[[], InferenceServerClient],
        repository: Path,
        units: Iterable[Unit],
        *,
        gpu: int | None = None,
        torch: bool = False,
        load_seconds: float = 600.0,
    ) -> None:
        """`client` of the event loop that runs; `repository` is what the Triton serves, `units` what may be loaded of
        it, on the host or on the NVIDIA GPU of this number. `torch`: its components run on torch.
        """
        self._client = client
        self._repository = repository.resolve()
        self._units = frozenset(units)
        self._gpu = gpu
        self._torch = torch
        self._load_seconds = load_seconds
        self._releases: dict[str, Release] = {}
        self._marks: list[ServingMark] = []
        self._processes: dict[Unit, int] = {}
        self._before: int | None = None

    async def ready(self) -> bool:
        """See ComponentHost."""
        try:
            with translated():
                return bool(await self._client().is_server_ready(client_timeout=_PROBE_TIMEOUT))
        except BackendError:
            return False

    async def release(self, model: str) -> Release:
        """See ComponentHost. Raises BackendUnavailable where the model is not published whole."""
        return self._release(model)

    def files_bytes(self, unit: Unit) -> int:
        """See ComponentHost."""
        return folder_bytes(self._folder(unit))

    def expected_bytes(self, unit: Unit) -> int:
        """See ComponentHost."""
        with_torch = self._torch or unit.component is Component.DENOISER
        process = _TORCH_PROCESS_BYTES if with_torch else _PROCESS_BYTES
        return process + _COPIES * self.files_bytes(unit)

    async def load(self, unit: Unit) -> None:
        """See ComponentHost. Raises BackendError with Triton's words for the log."""
        self._before = self._gpu_bytes()
        with translated():
            config = self._config(unit)
            await self._client().load_model(unit.name, config=config, client_timeout=self._load_seconds)
        process = await asyncio.to_thread(find_process, f"{self._folder(unit)}/model.py")
        if process is not None:
            self._processes[unit] = process

    async def unload(self, unit: Unit) -> None:
        """See ComponentHost: Triton's word is not enough, the process must have ended."""
        with translated():
            await self._client().unload_model(unit.name, client_timeout=self._load_seconds)
        process = self._processes.pop(unit, None)
        deadline = time.monotonic() + _GONE_SECONDS
        while unit in await self.present() or (process is not None and is_running(process)):
            if time.monotonic() > deadline:
                raise BackendFailed(f"Triton has not let go of {unit.name} within {_GONE_SECONDS:g} s")
            await asyncio.sleep(_POLL_SECONDS)

    async def park(self, unit: Unit) -> int | None:
        """None: Triton knows no half-way between loaded and not."""
        return None

    async def measure(self, unit: Unit, *, alone: bool) -> int | None:
        """See ComponentHost. On the host the most that its process ever had; on a GPU what that gained, if alone."""
        if self._gpu is not None:
            after = self._gpu_bytes()
            gained = None if self._before is None or after is None else after - self._before
            return max(gained, self.files_bytes(unit)) if alone and gained is not None else None
        process = self._processes.get(unit)
        return None if process is None else peak_bytes(process)

    async def present(self) -> frozenset[Unit]:
        """See ComponentHost."""
        with translated():
            index = await self._client().get_model_repository_index(client_timeout=_PROBE_TIMEOUT)
        served = {model.name for model in index.models if model.state not in _GONE_STATES}
        return frozenset(unit for unit in self._units if unit.name in served)

    async def close(self) -> None:
        """See ComponentHost."""
        for mark in self._marks:
            mark.release()
        self._marks.clear()

    def _release(self, model: str) -> Release:
        """Marked as served, loaded or not: a publisher must not remove what may be loaded any moment."""
        if model not in self._releases:
            version = newest_release(self._repository, model)
            if version is None:
                raise unavailable(f"{model} is not published whole in {self._repository}")
            self._releases[model] = Release(model, str(version))
            self._marks += [
                ServingMark(version_folder(self._repository, unit.model, unit.component, version))
                for unit in self._units
                if unit.model == model
            ]
        return self._releases[model]

    def _folder(self, unit: Unit) -> Path:
        return version_folder(self._repository, unit.model, unit.component, int(self._release(unit.model).version))

    def _config(self, unit: Unit) -> str:
        """The published configuration as JSON, which the repository API wants, of our release alone."""
        text = (self._repository / unit.name / _CONFIG_FILE).read_text(encoding="utf-8")
        parsed = text_format.Parse(text, model_config_pb2.ModelConfig())
        parsed.version_policy.Clear()
        parsed.version_policy.specific.versions.append(int(self._release(unit.model).version))
        config: str = json_format.MessageToJson(parsed, preserving_proto_field_name=True)
        return config

    def _gpu_bytes(self) -> int | None:
        return None if self._gpu is None else gpu_used_bytes(self._gpu)
