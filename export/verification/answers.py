"""Who computes an artefact's side of the checks: ONNX Runtime, or the module that the graph was written from."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import onnxruntime as ort
import torch
from torch import nn

from export.verification.report import Fact
from export.verification.session import opened
from families.tensors import Array, ComponentSignature

StandIn = Callable[[], nn.Module]
"""Makes the module that a graph was written from; only asked where the graph itself cannot run here."""


class Answers(Protocol):
    """Outputs for inputs, both in the order of the component's signature."""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One call, batch axis first."""


@contextmanager
def answering(
    path: Path, signature: ComponentSignature, threads: int, stand_in: StandIn | None
) -> Iterator[tuple[Answers, Fact]]:
    """What answers for the graph at `path`, and a word on it. Raises what ONNX Runtime raises."""
    with ExitStack() as stack:
        try:
            session = stack.enter_context(opened(path, threads))
        except Exception as error:  # half a dozen unrelated classes
            if stand_in is None:
                raise
            reason = " ".join(str(error).split())[:200]
            fact = Fact("graph executed", f"no, the module it was written from answered: ONNX Runtime says {reason}")
            yield _ModuleAnswers(stand_in()), fact
        else:
            yield _SessionAnswers(session, signature), Fact("graph executed", f"by ONNX Runtime {ort.__version__}, CPU")


class AnsweringModule(nn.Module):
    """Stands where a component's torch module was."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self._answers = answers

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """The output, or all where there are several."""
        outputs = self._answers.run([value.contiguous().numpy() for value in inputs])
        tensors = tuple(torch.from_numpy(output) for output in outputs)
        return tensors if len(tensors) > 1 else tensors[0]


class _SessionAnswers:
    def __init__(self, session: ort.InferenceSession, signature: ComponentSignature) -> None:
        self._session = session
        self._inputs = [spec.name for spec in signature.inputs]
        self._outputs = [spec.name for spec in signature.outputs]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        outputs: list[Array] = self._session.run(self._outputs, dict(zip(self._inputs, inputs, strict=True)))
        return outputs


class _ModuleAnswers:
    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        with torch.inference_mode():
            answer = self._module(*(torch.from_numpy(array) for array in inputs))
        outputs = answer if isinstance(answer, tuple) else (answer,)
        return [output.contiguous().numpy() for output in outputs]
