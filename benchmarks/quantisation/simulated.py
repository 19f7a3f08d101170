"""Pictures of precisions that cannot be served here: the graph's numbers, computed by whoever can."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np
import torch

from benchmarks.machine import usable_cores
from benchmarks.quantisation.builds import Built
from benchmarks.quantisation.drawing import Parts, Run, draw
from benchmarks.quantisation.scores import Floats, Pictures
from engine.modules import load_source_module
from export.quantise import CALIBRATION_SEED, calibration_inputs, quantise_module
from export.quantise.layers import QuantisedLayer
from export.quantise.weights import StoredWeight
from export.verification.answers import Answers, StandIn, answering
from families.catalog import ModelSource
from families.manifest import Component


class _Unpacked(StoredWeight):
    """A stored weight, turned back once: a simulation need not do it at every call."""

    def __init__(self, weight: StoredWeight) -> None:
        super().__init__()
        self.register_buffer("values", weight())

    def forward(self) -> torch.Tensor:
        """See the base."""
        return self.get_buffer("values")


def draw_simulated(built: Built, source: ModelSource, captions: Sequence[str], done: Callable[[int], None]) -> Pictures:
    """One picture a caption.

    ONNX Runtime computes the graphs that it can open, bf16 ones as their float32 twins; for the others the module that
    they were written from answers, in torch, with the numbers of the engine to come.
    """
    torch.set_num_threads(usable_cores())
    with ExitStack() as stack:

        def part(component: Component) -> Run:
            signature = source.manifest.signature(component)
            stand_in = _stand_in(built, source, component)
            answers, _ = stack.enter_context(answering(built.graphs[component], signature, usable_cores(), stand_in))
            return _run(answers)

        parts = Parts(part(Component.TEXT_ENCODER), part(Component.DENOISER), part(Component.VAE_DECODER))
        return draw(source, parts, captions, done)


def _stand_in(built: Built, source: ModelSource, component: Component) -> StandIn | None:
    settings = built.recipe.quantisation_of(component)
    if settings is None:
        return None

    def make() -> torch.nn.Module:
        inputs = calibration_inputs(source, component, settings, CALIBRATION_SEED)
        module = quantise_module(load_source_module(source, component), inputs, settings)
        for layer in module.modules():
            if isinstance(layer, QuantisedLayer):
                layer.weight = _Unpacked(layer.weight)
        return module

    return make


def _run(answers: Answers) -> Run:
    def run(inputs: Sequence[torch.Tensor]) -> Floats:
        return np.asarray(answers.run([np.ascontiguousarray(value.numpy()) for value in inputs])[0], np.float32)

    return run
