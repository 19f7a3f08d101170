"""What a deserialised engine says of its tensors, and which profile takes given shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.runtimes.tensorrt_description import ShapeLimits

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Binding:
    """One tensor of an engine; `dtype` by the library's name (FLOAT, HALF, ...)."""

    name: str
    dtype: str


@dataclass(frozen=True, slots=True)
class EngineIO:
    """Inputs and outputs in the engine's order; `profiles` hold each input's limits by its name."""

    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    profiles: tuple[dict[str, ShapeLimits], ...]

    def profile_for(self, names: Sequence[str], shapes: Sequence[Shape]) -> int:
        """The profile that takes these inputs and is tuned nearest to them. Raises ValueError saying what all take."""
        fitting = [index for index, profile in enumerate(self.profiles) if _takes(profile, names, shapes)]
        if not fitting:
            given = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
            raise ValueError(f"no profile of the engine takes {given}; it takes {self._ranges(names)}")
        return min(fitting, key=lambda index: _distance(self.profiles[index], names, shapes))

    def _ranges(self, names: Sequence[str]) -> str:
        profiles = (
            ", ".join(f"{name} {profile[name].min} to {profile[name].max}" for name in names)
            for profile in self.profiles
        )
        return " or ".join(profiles)


def engine_io(module: Any, engine: Any) -> EngineIO:
    """Ask the engine."""
    inputs: list[Binding] = []
    outputs: list[Binding] = []
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        binding = Binding(name, engine.get_tensor_dtype(name).name)
        is_input = engine.get_tensor_mode(name) == module.TensorIOMode.INPUT
        (inputs if is_input else outputs).append(binding)
    profiles = tuple(
        {binding.name: _limits(engine, binding.name, index) for binding in inputs}
        for index in range(engine.num_optimization_profiles)
    )
    return EngineIO(tuple(inputs), tuple(outputs), profiles)


def _limits(engine: Any, name: str, profile: int) -> ShapeLimits:
    low, best, high = (tuple(int(side) for side in shape) for shape in engine.get_tensor_profile_shape(name, profile))
    return ShapeLimits(name, low, best, high)


def _takes(profile: dict[str, ShapeLimits], names: Sequence[str], shapes: Sequence[Shape]) -> bool:
    for name, shape in zip(names, shapes, strict=True):
        limits = profile[name]
        if len(shape) != len(limits.max):
            return False
        if not all(low <= side <= high for low, side, high in zip(limits.min, shape, limits.max, strict=True)):
            return False
    return True


def _distance(profile: dict[str, ShapeLimits], names: Sequence[str], shapes: Sequence[Shape]) -> float:
    """How far the shapes are from what a profile is tuned for, as the sum of relative differences of their axes."""
    return sum(
        abs(side - best) / best
        for name, shape in zip(names, shapes, strict=True)
        for side, best in zip(shape, profile[name].opt, strict=True)
        if best
    )
