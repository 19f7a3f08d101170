"""Names of files inside a published model repository: `<repository>/<model>.<component>/<version>/...`.

Everything a component needs lies in its own version folder, so a repository can be copied or mounted anywhere. One
version is one release of a whole model: its components carry the same number, and only they understand each other.
"""

from pathlib import Path

from families.errors import ManifestError
from families.manifest import Component, triton_model_name
from families.manifest_json import parse_manifest

REPOSITORY_FOLDER = "model_repository"
"""The repository's name inside the runtime directory."""
FIRST_VERSION = 1
MANIFEST_FILE = "manifest.json"
ONNX_FILE = "model.onnx"
PLAN_FILE = "model.plan"
"""A TensorRT engine, for whichever GPU it was built."""
NATIVE_SUFFIX = "_native"
"""Ends the name of the Triton model that is a component as one plain call, beside the one that the gateway uses."""
WEIGHTS_FOLDER = "weights"
"""Holds the diffusers folder's part that the torch runtime loads, under its diffusers name (unet/, vae/, ...)."""
LORAS_FOLDER = "loras"
"""Holds adapters, `<name>.safetensors`: beside a model's own folders, and in the versions that torch loads."""


def plan_file(compute_capability: str) -> str:
    """The engine's name where several types of GPU are served side by side: 8.9 becomes `model.sm89.plan`."""
    return f"model.sm{compute_capability.replace('.', '')}.plan"


def versions(folder: Path) -> tuple[int, ...]:
    """Versions inside one Triton model's folder, ascending; none where it does not exist."""
    try:
        return tuple(sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal() and entry.is_dir()))
    except (FileNotFoundError, NotADirectoryError):
        return ()


def newest_version(folder: Path) -> Path:
    """The newest version folder of one Triton model, whether it is there or not."""
    return folder / str(max(versions(folder), default=FIRST_VERSION))


def newest_release(repository: Path, model: str) -> int | None:
    """The highest version that every component of the model has; None where there is no whole one."""
    denoisers = repository / triton_model_name(model, Component.DENOISER)
    for version in reversed(versions(denoisers)):
        components = _components(denoisers / str(version) / MANIFEST_FILE)
        folders = (repository / triton_model_name(model, part) / str(version) for part in components)
        if components and all(folder.is_dir() for folder in folders):
            return version
    return None


def _components(manifest: Path) -> tuple[Component, ...]:
    """What a published model consists of; nothing where its manifest cannot be read."""
    try:
        return parse_manifest(manifest.read_text(encoding="utf-8")).components
    except (OSError, ManifestError):
        return ()


def version_folder(repository: Path, model: str, component: Component, version: int | None = None) -> Path:
    """Where one component's published files lie; without a version, those of the newest release."""
    chosen = version or newest_release(repository, model) or FIRST_VERSION
    return repository / triton_model_name(model, component) / str(chosen)


def folder_bytes(folder: Path) -> int:
    """Size of all files of a version folder, which its weights outweigh; 0 where there is none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
