"""Adapters (LoRA) for the rows of a call, whatever the runtime: those that take none say so."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from engine.errors import AdapterError
from engine.runtimes.base import Runtime, TakesAdapters
from families.lora.use import LoraUse


@dataclass(frozen=True, slots=True)
class RowAdapters:
    """`uses`: one entry a row of the batch, most of them empty.

    `apart`: each row is computed by itself, so that its numbers are the same to the bit whoever else is in the batch.
    """

    uses: tuple[tuple[LoraUse, ...], ...]
    apart: bool = False


def prepare_adapters(runtime: Runtime, uses: Sequence[LoraUse]) -> None:
    """Load them. Raises AdapterError for one that is unknown or does not fit, and where the runtime takes none."""
    if uses:
        _taking(runtime).prepare_adapters(uses)


def acting_adapters(runtime: Runtime, adapters: RowAdapters) -> AbstractContextManager[None]:
    """While this lasts every call has as many rows as `adapters`, each with its own. Raises AdapterError."""
    return _taking(runtime).acting(adapters) if any(adapters.uses) else nullcontext()


def _taking(runtime: Runtime) -> TakesAdapters:
    if isinstance(runtime, TakesAdapters):
        return runtime
    raise AdapterError(
        "this model is served as a compiled graph, which takes no LoRA by request: publish it with the runtime torch "
        "(`triptych export publish --runtime torch`), or build a recipe with `loras` "
        "(`triptych export publish --recipe <name>`), which merges them into a model of their own name"
    )
