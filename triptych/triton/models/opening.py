"""Opens what a version folder holds: a component of a model, or a vision model."""

from engine.open import open_component, read_manifest
from engine.runtimes import Runtime
from engine.vision import open_vision
from families.tensors import ComponentSignature
from families.vision.manifest import VisionTask
from families.vision.signature import signature
from triptych.triton.models.arguments import ModelArguments


def open_published(arguments: ModelArguments) -> tuple[ComponentSignature, Runtime]:
    """Raises RuntimeUnavailableError saying what is missing."""
    folder, component, settings = arguments.version_folder, arguments.component, arguments.step.runtime
    if isinstance(component, VisionTask):
        manifest, runtime = open_vision(folder, settings)
        return signature(manifest), runtime
    opened = open_component(folder, component, arguments.runtime, settings)
    return read_manifest(folder).signature(component), opened
