"""One published model in this process: its step engine and other components, each opened on its own."""

import threading
from collections.abc import Sequence
from pathlib import Path

from engine.open import open_component, read_manifest
from engine.runtimes import Runtime
from engine.runtimes.base import Parks
from engine.settings import RuntimeSettings, StepSettings
from engine.step import StepEngine
from families.batching import MAX_BATCH
from families.manifest import Component
from families.repository import folder_bytes, version_folder
from families.serving_mark import ServingMark
from families.tensors import Array
from gateway.adapters.inprocess.errors import backend_error
from gateway.adapters.inprocess.events import EventBridge
from gateway.adapters.inprocess.request import denoise_request, lora_uses
from gateway.adapters.inprocess.stateless import Stateless
from gateway.domain.backend import DenoiseJob, Lora
from gateway.domain.errors import BackendUnavailable
from gateway.settings import BackendSettings, HardwareSettings


def runtime_settings(settings: BackendSettings, hardware: HardwareSettings) -> RuntimeSettings:
    """How the gateway's settings let a runtime use the machine."""
    return RuntimeSettings(threads=settings.threads or 0, device=hardware.device, torch=hardware.torch_options)


class OpenModel:
    """Of the release that was newest when it was made. Opening and closing block; everything else is quick."""

    def __init__(self, repository: Path, model: str, settings: BackendSettings, hardware: HardwareSettings) -> None:
        """Opens no component. Raises RuntimeUnavailableError when the published files cannot be used."""
        self._name = model
        self._runtime = settings.runtime
        self._settings = runtime_settings(settings, hardware)
        denoiser = version_folder(repository, model, Component.DENOISER)
        self.version = denoiser.name
        self.manifest = read_manifest(denoiser)
        self._folders = {
            component: version_folder(repository, model, component, int(self.version))
            for component in self.manifest.components
        }
        self._marks = tuple(ServingMark(folder) for folder in self._folders.values())
        self._stateless: dict[Component, Stateless] = {}
        self._engine: StepEngine | None = None
        self._runtimes: dict[Component, Runtime] = {}
        self._parked: set[Component] = set()
        self._opening = threading.Lock()

    @property
    def opened(self) -> tuple[Component, ...]:
        """What is in memory, on the device."""
        engine = () if self._engine is None else (Component.DENOISER,)
        return tuple(component for component in (*self._stateless, *engine) if component not in self._parked)

    def folder(self, component: Component) -> Path:
        """Where its published files are."""
        return self._folders[component]

    def file_bytes(self, component: Component) -> int:
        """Size of its published files."""
        return folder_bytes(self._folders[component])

    def open(self, component: Component) -> None:
        """Load one component, unless it is, or bring it back. Raises RuntimeUnavailableError when the runtime cannot be
        used, OutOfMemoryError.
        """
        folder = self._folders[component]
        with self._opening:
            if component in self._parked:
                self._unpark(component)
                return
            if component in self.opened:
                return
            runtime = open_component(folder, component, self._runtime, self._settings)
            self._runtimes[component] = runtime
            if component is Component.DENOISER:
                self._engine = StepEngine(self.manifest, runtime, StepSettings(runtime=self._settings))
                return
            name = f"{self._name}.{component.value}"
            self._stateless[component] = Stateless(runtime, MAX_BATCH[component], name)

    def close(self, component: Component) -> None:
        """Fail what it has in flight and let it go. Blocks for at most a step."""
        with self._opening:
            self._runtimes.pop(component, None)
            self._parked.discard(component)
            if component is Component.DENOISER:
                engine, self._engine = self._engine, None
                if engine is not None:
                    engine.close()
            elif (opened := self._stateless.pop(component, None)) is not None:
                opened.close()

    def park(self, component: Component) -> int | None:
        """Move its weights to host memory; the bytes they take there, None where they cannot wait there. Nothing may be
        in flight.
        """
        with self._opening:
            runtime = self._runtimes.get(component)
            kept = runtime.park() if isinstance(runtime, Parks) else None
            if kept is not None:
                self._parked.add(component)
            return kept

    async def run(
        self, component: Component, rows: Sequence[Array], *, deterministic: bool, loras: Sequence[Lora] = ()
    ) -> tuple[Array, ...]:
        """Outputs of a component other than the denoiser; `rows`: one array for each input. Raises BackendError."""
        opened = self._stateless.get(component)
        if opened is None or component in self._parked:
            raise self._not_open(component)
        try:
            return await opened.run(rows, deterministic=deterministic, loras=lora_uses(loras))
        except Exception as error:
            raise backend_error(error) from error

    def submit(self, job: DenoiseJob, bridge: EventBridge) -> None:
        """Hand the job to the engine. Raises BackendError when it is not taken."""
        if self._engine is None or Component.DENOISER in self._parked:
            raise self._not_open(Component.DENOISER)
        try:
            self._engine.submit(denoise_request(job), bridge)
        except Exception as error:
            raise backend_error(error) from error

    def end(self) -> None:
        """Close everything; no call may follow."""
        for component in self.manifest.components:
            self.close(component)
        for mark in self._marks:
            mark.release()

    def _unpark(self, component: Component) -> None:
        runtime = self._runtimes[component]
        assert isinstance(runtime, Parks)
        runtime.unpark()
        self._parked.discard(component)

    def _not_open(self, component: Component) -> BackendUnavailable:
        return BackendUnavailable(f"{self._name}.{component.value} is not in memory", retry_after=1)
