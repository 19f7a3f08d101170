"""Puts models on demand between the gateway and whatever runs them."""

from collections.abc import Iterable, Mapping

from families.catalog import ModelSource
from gateway.domain.backend import InferenceBackend
from gateway.domain.residency import ComponentHost, Unit
from gateway.pipelines.residency.backend import ResidentBackend
from gateway.pipelines.residency.footprints import FootprintFile
from gateway.pipelines.residency.manager import ResidencyManager
from gateway.pipelines.residency.options import ResidencyOptions
from gateway.settings import Settings, SettingsError

_FOOTPRINTS = "footprints.json"


def units_of(models: Mapping[str, ModelSource]) -> tuple[Unit, ...]:
    """Every component of the models."""
    return tuple(Unit(name, component) for name, source in models.items() for component in source.manifest.components)


def on_demand(
    settings: Settings, inner: InferenceBackend, host: ComponentHost, units: Iterable[Unit]
) -> ResidentBackend:
    """`inner`, whose components `host` loads and unloads. Raises SettingsError for pinned models that there are not."""
    asked = settings.residency
    units = tuple(units)
    known = {unit.model for unit in units}
    strays = sorted(set(asked.pinned) - known)
    if strays:
        raise SettingsError(
            f"setting residency.pinned: no model is called {', '.join(strays)}; served are {', '.join(sorted(known))}"
        )
    options = ResidencyOptions(
        budget_bytes=asked.budget_bytes,
        idle_seconds=asked.auto_unload_timeout,
        pinned=frozenset(asked.pinned),
        wait_seconds=asked.wait_timeout,
        host_budget_bytes=asked.host_budget_bytes,
    )
    # What a component takes depends on what runs it: measured otherwise, it is measured anew.
    hardware = " ".join(f"{name}={value}" for name, value in settings.hardware.torch_options.dump())
    backend = settings.backend
    configuration = f"{backend.kind} {backend.runtime} {settings.hardware.device} {backend.threads or 0} {hardware}"
    footprints = FootprintFile(settings.runtime_directory / _FOOTPRINTS, configuration.strip())
    return ResidentBackend(inner, host, ResidencyManager(host, units, options, footprints))


def nvidia_gpu(settings: Settings) -> int | None:
    """The number of the NVIDIA GPU that the models are on; None for host memory. May load torch."""
    device = settings.hardware.device
    if device == "auto" and (settings.backend.kind, settings.backend.runtime) == ("inprocess", "torch"):
        from engine.hardware.policy import pick_device  # noqa: PLC0415 - only torch knows what it will take

        device = str(pick_device(device))
    kind, _, number = device.partition(":")
    return int(number or 0) if kind == "cuda" else None
