"""What an artefact depends on, as one key: weights, compiler versions and this exporter's own revision.

Imports nothing heavy: asking whether a build is needed must take milliseconds.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from families.manifest import Component

EXPORTER_REVISION = 2
"""Raise it with every change to lowering, to the exporter or to the checks that must reach existing artefacts."""

_PACKAGES = ("torch", "onnx", "onnxscript", "diffusers", "transformers")
_KEY_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`key` names the artefact's folder; `source_hash` is of the weights alone; `exporter` says what compiles."""

    key: str
    source_hash: str
    exporter: str


def fingerprint(target: str, component: Component, source_hash: str) -> Fingerprint:
    """The fingerprint of one component compiled for one target by the installed packages."""
    exporter = f"triptych-export {EXPORTER_REVISION}, " + ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    text = json.dumps([target, component.value, source_hash, exporter])
    return Fingerprint(hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS], source_hash, exporter)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
