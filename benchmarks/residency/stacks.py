"""The gateway over models on demand, in this process or over a real Triton."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from families.catalog import ModelSource
from gateway.adapters.memory import own_bytes
from gateway.app import create_app
from gateway.domain.residency import ResidencySnapshot, TellsResidency
from gateway.settings import BackendSettings, ResidencySettings, Settings
from triptych.inference import InProcess, SupervisedTriton, open_inference


@dataclass(frozen=True, slots=True)
class Servers:
    """Bytes that servers have in memory of their own: the gateway's process, and Triton's where there is one."""

    gateway: int
    triton: int

    @property
    def together(self) -> int:
        """Of the stack."""
        return self.gateway + self.triton


@dataclass(frozen=True, slots=True)
class Stack:
    """`client` speaks the gateway's HTTP. Bytes that processes have in memory, without pages of files: `models` of
    those that hold components and nothing else, or of this one, which then holds everything; `servers` of the others.
    """

    client: httpx.AsyncClient
    residency: Callable[[], ResidencySnapshot]
    models: Callable[[], int]
    servers: Callable[[], Servers]


@asynccontextmanager
async def stack(
    place: Path, sources: Mapping[str, ModelSource], backend: BackendSettings, residency: ResidencySettings
) -> AsyncIterator[Stack]:
    """As `triptych serve` composes it, of models that were published below `place`."""
    settings = Settings.load(None, {"runtime_directory": str(place), "logging.level": "WARNING"})
    settings = settings.model_copy(update={"backend": backend, "residency": residency})
    inference = open_inference(settings, sources)
    assert isinstance(inference, InProcess | SupervisedTriton)
    assert isinstance(inference.backend, TellsResidency)
    app = create_app(settings, inference.backend, sources)
    try:
        async with app.router.lifespan_context(app):
            await inference.bring_up()
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=None) as client:
                yield Stack(client, inference.backend.residency, *_memory(inference))
    finally:
        await inference.stop()


def _memory(inference: InProcess | SupervisedTriton) -> tuple[Callable[[], int], Callable[[], Servers]]:
    def gateway() -> int:
        return own_bytes() or 0

    if isinstance(inference, InProcess):
        return gateway, lambda: Servers(gateway(), 0)
    assert inference.triton_pid is not None
    server = psutil.Process(inference.triton_pid)
    return lambda: _own(server.children(recursive=True)), lambda: Servers(gateway(), _own([server]))


def _own(processes: list[psutil.Process]) -> int:
    """Zero for those that have ended since they were listed."""
    return sum(own_bytes(process.pid) or 0 for process in processes)


async def until_unloaded(stack: Stack, seconds: float = 120) -> None:
    """Wait until nothing is in memory. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while stack.residency().used:  # noqa: ASYNC110 - the idle timer is waited for
            await asyncio.sleep(0.05)
