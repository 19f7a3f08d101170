"""What compiling one model needs."""

from functools import cached_property
from typing import TYPE_CHECKING

from export.recipe import Target
from export.targets import Compiler, compiler
from families.catalog import ModelSource

if TYPE_CHECKING:
    from export.verification.samples import ReferenceSamples


class Workshop:
    """Tools of one model, made on first use: torch takes seconds to import, and most builds are hits."""

    def __init__(self, source: ModelSource) -> None:
        self._source = source
        self._compilers: dict[Target, Compiler] = {}

    @cached_property
    def samples(self) -> "ReferenceSamples":
        """Inputs for the checks, from the model's own trajectories."""
        from export.verification.samples import ReferenceSamples  # noqa: PLC0415

        return ReferenceSamples(self._source)

    def compiler(self, target: Target) -> Compiler:
        """The compiler of a target, the same at every call."""
        if target not in self._compilers:
            self._compilers[target] = compiler(target)
        return self._compilers[target]
