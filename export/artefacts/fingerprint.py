"""The key of one component built by one recipe, from the weights' hash and what is installed here.

Imports nothing heavy: asking whether a build is needed must take milliseconds.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from export.artefacts.key import ArtefactKey, Dialect, EngineKey, GraphKey
from export.recipe import Quantisation, Recipe, Target
from families.catalog import ModelSource
from families.manifest import Component

EXPORTER_REVISION = 5
"""Raise it with every change to lowering, to the exporter or to the checks that must reach existing artefacts."""

_PACKAGES: tuple[str, ...] = ("torch", "onnx", "onnxscript", "diffusers", "transformers")
_QUANTISER = "nvidia-modelopt"
_DIGITS = 16


WeightsHash = Callable[[ModelSource, Component], str]
"""The hash of a component's weights and configuration."""


def artefact_key(source: ModelSource, component: Component, recipe: Recipe, weights: WeightsHash) -> ArtefactKey:
    """The key of what `recipe` makes of a component."""
    key = graph_key(source, component, recipe, weights)
    if recipe.target is Target.ONNX:
        return key
    # Only here: asking a GPU and a compiler for their versions costs time that other targets need not spend.
    from export.tensorrt.environment import engine_environment  # noqa: PLC0415

    environment = dict(engine_environment(recipe.target))
    engine = EngineKey(profiles=recipe.profiles, flags=recipe.engine, environment=environment)
    return key.model_copy(update={"target": recipe.target, "engine": engine})


def graph_key(source: ModelSource, component: Component, recipe: Recipe, weights: WeightsHash) -> ArtefactKey:
    """The key of the ONNX artefact: the recipe's own, or what its engine is compiled from."""
    quantisation = recipe.quantisation_of(component)
    graph = GraphKey(
        weights=weights(source, component),
        signature=_signature(source, component),
        precision=recipe.precision_of(component),
        dialect=Dialect.ONNXRUNTIME if recipe.target is Target.ONNX else Dialect.PORTABLE,
        quantisation=quantisation,
        calibration="" if quantisation is None else _calibration(source, quantisation, weights),
        exporter=EXPORTER_REVISION,
        packages={name: _version(name) for name in (_PACKAGES if quantisation is None else (*_PACKAGES, _QUANTISER))},
    )
    return ArtefactKey(component=component, target=Target.ONNX, graph=graph)


def _signature(source: ModelSource, component: Component) -> str:
    return hashlib.sha256(repr(source.manifest.signature(component)).encode()).hexdigest()[:_DIGITS]


def _calibration(source: ModelSource, quantisation: Quantisation, weights: WeightsHash) -> str:
    """Prompts and settings, and every component's weights: ranges of one are measured behind the others."""
    from export.quantise.identity import calibration_identity  # noqa: PLC0415 - only who quantises needs it

    parts = [
        calibration_identity(source, quantisation),
        *(weights(source, component) for component in source.manifest.components),
    ]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
