"""The run: every case and every kind of numbers, one child after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from benchmarks.layers.growth.figures import Case, Grown, Stored
from benchmarks.layers.growth.jobs import Job, run_child
from benchmarks.layers.growth.published import NUMBERS, computes_in, publish_model, with_numbers
from export.publishing.options import Runtime
from families.tensors import Array
from families.torch_options import TorchDType
from wardrobe.world.canvas import Pixels

LAYERS, SIDES = (2, 3, 5, 7, 10), (128, 192, 256, 384)
USUAL = Case(5, 128)
CASES = (*(Case(count, USUAL.side) for count in LAYERS), *(Case(USUAL.layers, side) for side in SIDES[1:]))


@dataclass(frozen=True, slots=True)
class _Answer:
    velocity: Array
    layers: Pixels


def grow(
    folder: Path,
    cases: Sequence[Case],
    place: Path,
    say: Callable[[str], None],
    *,
    repeats: int,
    runtime: Runtime,
    built: Path,
) -> tuple[Grown, ...]:
    """Time and memory of each case. Raises ChildFailed."""
    repository = place / "grown"
    publish_model(folder, "grown", runtime, repository, built)
    found = []
    for case in cases:
        say(f"{case.layers} layers, {case.side} px")
        job = Job(repository, "grown", runtime.value, TorchDType.AUTO, folder, case, repeats)
        found.append(_grown(run_child(job)))
    return tuple(found)


def store(
    folder: Path, case: Case, place: Path, say: Callable[[str], None], *, repeats: int, pictures: int
) -> tuple[Stored, ...]:
    """Each kind of numbers against the first, on torch. Raises ChildFailed."""
    repository, found = place / "stored", []
    exact: _Answer | None = None
    for numbers in NUMBERS:
        say(numbers)
        made = place / numbers
        file = with_numbers(folder, numbers, made)
        name = numbers.lower().replace("_", "-")
        publish_model(made, name, Runtime.TORCH, repository, place)
        job = Job(repository, name, Runtime.TORCH.value, computes_in(numbers), made, case, repeats, pictures)
        answers = run_child(job)
        answer = _Answer(np.load(answers / "velocity.npy"), np.load(answers / "layers.npy"))
        exact = exact or answer
        found.append(Stored(numbers, file.stat().st_size, _grown(answers).step, *_errors(answer, exact)))
    return tuple(found)


def _grown(folder: Path) -> Grown:
    return TypeAdapter(Grown).validate_json((folder / "grown.json").read_bytes())


def _errors(answer: _Answer, exact: _Answer) -> tuple[float, float, float]:
    """Of velocity, alpha and visible colours: see `Stored`."""
    wanted = exact.velocity.astype(np.float64)
    velocity = np.linalg.norm(answer.velocity.astype(np.float64) - wanted) / np.linalg.norm(wanted)
    difference = np.abs(answer.layers.astype(np.float64) - exact.layers)
    alpha = exact.layers[..., 3:].astype(np.float64)
    colour = (difference[..., :3] * alpha).sum() / max(3 * alpha.sum(), 1.0)
    return float(velocity), float(difference[..., 3].mean()), float(colour)
