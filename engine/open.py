"""Opens one published component."""

from pathlib import Path

from engine.errors import RuntimeUnavailableError
from engine.runtimes import Runtime, open_runtime
from engine.settings import RuntimeSettings
from families.errors import ManifestError
from families.manifest import Component, ModelManifest
from families.manifest_json import parse_manifest
from families.repository import MANIFEST_FILE


def read_manifest(folder: Path) -> ModelManifest:
    """The manifest in a published version folder. Raises RuntimeUnavailableError when there is no good one."""
    path = folder / MANIFEST_FILE
    try:
        return parse_manifest(path.read_text(encoding="utf-8"))
    except (OSError, ManifestError) as error:
        raise RuntimeUnavailableError(f"{path} cannot be used: {error}") from error


def open_component(folder: Path, component: Component, runtime: str, settings: RuntimeSettings) -> Runtime:
    """Open the version folder `folder` of `component` with a runtime by name. Raises RuntimeUnavailableError."""
    return open_runtime(runtime, folder, read_manifest(folder), component, settings)
