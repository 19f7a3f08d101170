"""Where a family keeps each component's weights inside its diffusers folder, and what those weights hash to."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from families.catalog import ModelSource
from families.manifest import Component
from families.stable_diffusion import FAMILY as STABLE_DIFFUSION

# A new family is one entry here.
_SUBFOLDERS: dict[str, dict[Component, str]] = {
    STABLE_DIFFUSION: {
        Component.TEXT_ENCODER: "text_encoder",
        Component.DENOISER: "unet",
        Component.VAE_DECODER: "vae",
    },
}

_CHUNK_BYTES = 1 << 20


def weights_folder(source: ModelSource, component: Component) -> Path:
    """The part of the diffusers folder that holds one component's configuration and weights."""
    return source.folder / _SUBFOLDERS[source.manifest.family][component]


def weights_files(source: ModelSource, component: Component) -> Iterator[Path]:
    """Every file of `weights_folder`, in a stable order."""
    return (path for path in sorted(weights_folder(source, component).rglob("*")) if path.is_file())


def source_hash(source: ModelSource, component: Component) -> str:
    """sha256 over names and contents of the component's files."""
    digest = hashlib.sha256()
    root = weights_folder(source, component)
    for path in weights_files(source, component):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
