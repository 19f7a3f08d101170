"""What runs the models behind the gateway: a Triton of our own, one that somebody else runs, or this process."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from typing import Protocol

from engine.hardware.rocm import prepare_environment
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import REPOSITORY_FOLDER
from families.vision.source import NO_VISION, VisionSource
from gateway.domain.backend import InferenceBackend
from gateway.pipelines.residency.backend import ResidentBackend
from gateway.settings import Settings, SettingsError
from triptych.on_demand import nvidia_gpu, on_demand, units_of
from triptych.publishing import publish_models
from triptych.triton import State, Status, TritonError, TritonSettings, TritonSupervisor, locate, prepare

logger = logging.getLogger(__name__)

_EXIT_SECONDS = 6
"""Triton is told to stop when the gateway has waited for its requests. It needs 3 s, but now and then keeps a stream
that its caller cancelled, and then waits all the time it is given."""
_MORE_EXIT_SECONDS = 2
"""For each component beyond one model's: every one is a process, and its torch takes a second of a core to tidy up."""
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

    def __init__(
        self,
        settings: Settings,
        models: Mapping[str, ModelSource],
        vision: Mapping[str, VisionSource] = NO_VISION,
    ) -> None:
        """Reserves Triton's ports. Raises TritonSetupError where Triton cannot run."""
        from gateway.adapters.triton import TritonBackend  # noqa: PLC0415 - grpc is loaded only when it is used
        from gateway.adapters.triton.host import TritonHost  # noqa: PLC0415

        self._settings = settings
        self._models = models
        self._vision = vision
        runtime = settings.runtime_directory.resolve()
        names = tuple(unit.name for unit in units_of(models))
        seeing = tuple(source.triton_name for source in vision.values())
        self._status = Status(State.STOPPED)
        self._failed = asyncio.Event()
        self._report: ReportTriton | None = None
        self._supervisor = TritonSupervisor(
            prepare(locate(), runtime / "triton"),
            TritonSettings(
                model_repository=runtime / REPOSITORY_FOLDER,
                models=seeing if settings.residency.on_demand else (*names, *seeing),
                on_demand=settings.residency.on_demand,
                exit_timeout_s=_EXIT_SECONDS + _MORE_EXIT_SECONDS * max(0, len(names) + len(seeing) - len(Component)),
            ),
            runtime / "logs" / "triton.log",
            on_change=self._changed,
        )
        triton = TritonBackend(
            self._supervisor.reserve().grpc,
            [source.manifest for source in models.values()],
            settings.backend,
            vision.values(),
        )
        self._backend: InferenceBackend = triton
        self._resident: ResidentBackend | None = None
        if settings.residency.on_demand:
            units = units_of(models)
            host = TritonHost(
                lambda: triton.client,
                runtime / REPOSITORY_FOLDER,
                units,
                gpu=nvidia_gpu(settings),
                torch=settings.backend.runtime == "torch",
            )
            self._backend = self._resident = on_demand(settings, triton, host, units)

    @property
    def backend(self) -> InferenceBackend:
        """Triton over gRPC."""
        return self._backend

    async def keep(self, report: ReportTriton) -> None:
        """See Inference. Raises PublishingError, TritonError."""
        self._report = report
        await publish_models(self._settings, self._models, self._vision)
        await self.bring_up()
        await self._failed.wait()
        raise TritonError(self._supervisor.status.detail)

    async def bring_up(self) -> None:
        """Start Triton on what is published, once. Raises TritonError, BackendError."""
        await self._supervisor.start()
        if self._resident is not None:
            await self._resident.open()

    @property
    def triton_pid(self) -> int | None:
        """Triton's process while it runs."""
        return self._supervisor.status.pid

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

    def __init__(
        self,
        settings: Settings,
        models: Mapping[str, ModelSource],
        address: str,
        vision: Mapping[str, VisionSource] = NO_VISION,
    ) -> None:
        from gateway.adapters.triton import TritonBackend  # noqa: PLC0415 - grpc is loaded only when it is used

        if settings.residency.on_demand:
            raise SettingsError(
                "settings residency: a Triton that somebody else runs (backend.triton_url) decides itself what it loads"
            )
        manifests = [source.manifest for source in models.values()]
        self._backend = TritonBackend(address, manifests, settings.backend, vision.values())

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

    def __init__(
        self,
        settings: Settings,
        models: Mapping[str, ModelSource],
        vision: Mapping[str, VisionSource] = NO_VISION,
    ) -> None:
        from gateway.adapters.inprocess import InProcessBackend, InProcessHost  # noqa: PLC0415 - loads torch

        self._settings = settings
        self._models = models
        self._vision = vision
        self._engine = InProcessBackend(
            settings.runtime_directory / REPOSITORY_FOLDER,
            tuple(models),
            settings.backend,
            settings.hardware,
            vision.values(),
        )
        self._backend: InferenceBackend = self._engine
        self._resident: ResidentBackend | None = None
        if settings.residency.on_demand:
            host = InProcessHost(lambda: self._engine.models, gpu=nvidia_gpu(settings))
            self._backend = self._resident = on_demand(settings, self._engine, host, units_of(models))

    @property
    def backend(self) -> InferenceBackend:
        """The engine behind the port."""
        return self._backend

    async def keep(self, report: ReportTriton) -> None:
        """See Inference. Raises PublishingError."""
        await publish_models(self._settings, self._models, self._vision)
        await self.bring_up()
        await asyncio.Event().wait()

    async def bring_up(self) -> None:
        """Open what is published, once. Raises RuntimeUnavailableError, BackendError."""
        if self._resident is None:
            await self._engine.open()
        else:
            await self._engine.prepare()
            await self._resident.open()

    async def stop(self) -> None:
        """The gateway closes its backend."""


def open_inference(
    settings: Settings, models: Mapping[str, ModelSource], vision: Mapping[str, VisionSource] = NO_VISION
) -> Inference:
    """What the settings ask for, to run these models. Raises SettingsError. Comes before torch is loaded."""
    prepare_environment(os.environ)
    if settings.backend.kind == "inprocess":
        return InProcess(settings, models, vision)
    if settings.backend.triton_url is not None:
        return ExternalTriton(settings, models, settings.backend.triton_url, vision)
    return SupervisedTriton(settings, models, vision)
