"""What a calibration depends on, for an artefact's key; imports nothing heavy."""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version

from export.quantise.prompts import prompts_for
from export.recipe import Quantisation, QuantisationMethod
from families.catalog import ModelSource

CALIBRATION_SEED = 0
"""The noise that calibration starts from, unless a caller says otherwise."""

# Raise a method's with every change to how its layers are chosen, calibrated, rounded or written down.
_REVISIONS = {
    QuantisationMethod.INT8_SMOOTHQUANT: 2,
    QuantisationMethod.INT8_WEIGHT_ONLY: 1,
    QuantisationMethod.FP8: 1,
    QuantisationMethod.NVFP4: 2,
}


def needs_calibration(method: QuantisationMethod) -> bool:
    """Whether activations are rounded too, so that their ranges must be measured."""
    return method is not QuantisationMethod.INT8_WEIGHT_ONLY


def calibration_identity(source: ModelSource, settings: Quantisation, seed: int = CALIBRATION_SEED) -> str:
    """A hash that changes when the calibrated ranges could.

    Weights count in the artefact's key already; but ranges of one component are measured behind the others, so theirs
    count in the caller's key too if they are to be exact. Raises BuildError for a broken file of prompts.
    """
    parts: list[object] = [_REVISIONS[settings.method], settings.method.value, list(settings.exclude)]
    parts += [_version("nvidia-modelopt")]
    if needs_calibration(settings.method):
        prompts = prompts_for(source, settings.calibration_prompts)
        parts += [list(prompts), settings.calibration_steps, settings.alpha, source.manifest.defaults.guidance_scale]
        parts += [seed]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
