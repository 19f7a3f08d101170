"""Finds the models that ship with Triptych, without importing the package that holds them."""

import importlib.util
from pathlib import Path

from families.errors import ManifestError

_PACKAGE = "wardrobe"


def embedded_models() -> Path:
    """The folder of their diffusers folders. Raises ManifestError where they are not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ManifestError("no embedded models are installed: name a folder of models")
    return Path(spec.origin).parent / "weights"
