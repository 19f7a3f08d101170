"""Where vision models lie: folders that hold a `vision.json` and the graph it names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from families.errors import ManifestError
from families.vision.manifest import MANIFEST_FILE, VisionManifest, read_vision_manifest, vision_model_name


@dataclass(frozen=True, slots=True)
class VisionSource:
    """A vision model by the name it is served under. `graph` is its ONNX file."""

    name: str
    manifest: VisionManifest
    graph: Path

    @property
    def triton_name(self) -> str:
        """`<name>.<task>`."""
        return vision_model_name(self.name, self.manifest.task)


NO_VISION: Mapping[str, VisionSource] = MappingProxyType({})


def load_vision(folder: Path, name: str | None = None) -> VisionSource:
    """The model of one folder, which gives it its name if there is no other. Raises ManifestError."""
    manifest = read_vision_manifest(folder / MANIFEST_FILE)
    return with_graph(name or folder.name, manifest, folder / manifest.graph)


def with_graph(name: str, manifest: VisionManifest, graph: Path) -> VisionSource:
    """A model whose graph may lie anywhere. Raises ManifestError where there is no such file."""
    if not graph.is_file():
        raise ManifestError(f"{graph} is missing: the graph of the {manifest.task} {name}")
    return VisionSource(name, manifest, graph)


def discover_vision(directories: Iterable[Path]) -> dict[str, VisionSource]:
    """Every vision model in these directories by name; the first directory that has a name wins.

    Raises ManifestError.
    """
    found: dict[str, VisionSource] = {}
    for directory in directories:
        for path in sorted(directory.glob(f"*/{MANIFEST_FILE}")):
            if path.parent.name not in found:
                found[path.parent.name] = load_vision(path.parent)
    return found
