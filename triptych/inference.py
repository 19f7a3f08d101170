"""What runs the models behind the gateway: a Triton of our own, one that somebody else runs, or this process."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from families.catalog import discover
from families.manifest import Component, triton_model_name
from families.repository import REPOSITORY_FOLDER
from gateway.domain.backend import InferenceBackend
from gateway.settings import Settings
from triptych.publishing import publish_models
from triptych.triton import State, Status, TritonError, TritonSettings, TritonSupervisor, locate, prepare

logger = logging.getLogger(__name__)

_EXIT_SECONDS = 6
"""Triton is told to stop when the gateway has waited for its requests. It needs 3 s, but now and then keeps a stream
that its caller cancelled, and then waits all the time it is given."""
ReportTriton = Callable[[TritonSupervisor], None]
"""Called whenever the supervised Triton's status changes."""


class Inference(Protocol):
    """The life of whatever runs the models. `backend` may be used at once and answers not ready until `keep` is."""

    @property
    def backend(self) -> InferenceBackend:
        """The gateway's port to it."""
        ...

    async def keep(self, report: ReportTriton) -> None:
        """Bring it up and keep it up. Returns or raises only when it is beyond repair; cancelled at shutdown."""
        ...

    async def stop(self) -> None:
        """Let it finish what it has and stop."""
        ...


class SupervisedTriton:
    """Publishes the models, then keeps one Triton running."""

    def __init__(self, settings: Settings) -> None:
        """Reserves Triton's ports. Raises TritonSetupError where Triton cannot run."""
        from gateway.adapters.triton import TritonBackend  # noqa: PLC0415 - grpc is loaded only when it is used

        self._settings = settings
        sources = discover(settings.models.directories)
        self._models = tuple(sources)
        runtime = settings.runtime_directory.resolve()
        self._status = Status(State.STOPPED)
        self._failed = asyncio.Event()
        self._report: ReportTriton | None = None
        self._supervisor = TritonSupervisor(
            prepare(locate(), runtime / "triton"),
            TritonSettings(
                model_repository=runtime / REPOSITORY_FOLDER,
                models=tuple(triton_model_name(model, component) for model in self._models for component in Component),
                exit_timeout_s=_EXIT_SECONDS,
            ),
            runtime / "logs" / "triton.log",
            on_change=self._changed,
        )
        self._backend = TritonBackend(
            self._supervisor.reserve().grpc, [source.manifest for source in sources.values()], settings.backend
        )

    @property
    def backend(self) -> InferenceBackend:
        """Triton over gRPC."""
        return self._backend

    async def keep(self, report: ReportTriton) -> None:
        """See Inference. Raises PublishingError, TritonError."""
        self._report = report
        await publish_models(self._settings)
        await self._supervisor.start()
        await self._failed.wait()
        raise TritonError(self._supervisor.status.detail)

    async def stop(self) -> None:
        """Stop Triton; requests in flight were the gateway's to wait for."""
        await self._supervisor.stop()

    def _changed(self, status: Status) -> None:
        if status.state is State.FAILED:
            self._failed.set()
        # Stopped on purpose: the ports are given back, and the state file goes with the gateway.
        if self._report is not None and status.state is not State.STOPPED:
            self._report(self._supervisor)


class ExternalTriton:
    """A Triton that is deployed on its own; the gateway is a client and nothing more."""

    def __init__(self, settings: Settings, address: str) -> None:
        from gateway.adapters.triton import TritonBackend  # noqa: PLC0415 - grpc is loaded only when it is used

        sources = discover(settings.models.directories)
        self._backend = TritonBackend(address, [source.manifest for source in sources.values()], settings.backend)

    @property
    def backend(self) -> InferenceBackend:
        """Triton over gRPC."""
        return self._backend

    async def keep(self, report: ReportTriton) -> None:
        """Nothing to keep: the gateway's readiness follows Triton's."""
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Nothing to stop."""


class InProcess:
    """The step engine in the gateway's own process."""

    def __init__(self, settings: Settings) -> None:
        from gateway.adapters.inprocess import InProcessBackend  # noqa: PLC0415 - loads torch

        self._settings = settings
        self._backend = InProcessBackend(
            settings.runtime_directory / REPOSITORY_FOLDER,
            tuple(discover(settings.models.directories)),
            settings.backend,
        )

    @property
    def backend(self) -> InferenceBackend:
        """The engine behind the port."""
        return self._backend

    async def keep(self, report: ReportTriton) -> None:
        """See Inference. Raises PublishingError."""
        await publish_models(self._settings)
        await self._backend.open()
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """The gateway closes its backend."""


def open_inference(settings: Settings) -> Inference:
    """What the settings ask for."""
    if settings.backend.kind == "inprocess":
        return InProcess(settings)
    if settings.backend.triton_url is not None:
        return ExternalTriton(settings, settings.backend.triton_url)
    return SupervisedTriton(settings)
