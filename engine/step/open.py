"""Opens a published denoiser as a step engine."""

from pathlib import Path

from engine.open import read_manifest
from engine.runtimes import open_runtime
from engine.settings import StepSettings
from engine.step.engine import StepEngine
from families.manifest import Component


def open_step_engine(folder: Path, runtime: str, settings: StepSettings) -> StepEngine:
    """Open the denoiser's version folder `folder`, measure it and start its engine.

    Raises RuntimeUnavailableError when the folder or the runtime cannot be used.
    """
    manifest = read_manifest(folder)
    return StepEngine(manifest, open_runtime(runtime, folder, manifest, Component.DENOISER, settings.runtime), settings)
