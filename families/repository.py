"""Names of files inside a published model repository: `<repository>/<model>.<component>/<version>/...`.

Everything a component needs lies in its own version folder, so a repository can be copied or mounted anywhere.
"""

from pathlib import Path

from families.manifest import Component, triton_model_name

REPOSITORY_FOLDER = "model_repository"
"""The repository's name inside the runtime directory."""
VERSION = "1"
MANIFEST_FILE = "manifest.json"
ONNX_FILE = "model.onnx"
WEIGHTS_FOLDER = "weights"
"""Holds the diffusers folder's part that the torch runtime loads, under its diffusers name (unet/, vae/, ...)."""


def version_folder(repository: Path, model: str, component: Component) -> Path:
    """Where one component's published files lie."""
    return repository / triton_model_name(model, component) / VERSION
