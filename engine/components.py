"""How stateless components (text encoder, VAE decoder) run a batch."""

from collections.abc import Sequence

import numpy as np

from engine.runtimes.adapters import RowAdapters, acting_adapters
from engine.runtimes.base import Runtime
from families.chunks import split
from families.lora.use import LoraUse
from families.tensors import Array


def run_batch(
    runtime: Runtime,
    arrays: Sequence[Array],
    *,
    max_batch: int,
    deterministic: bool = False,
    loras: Sequence[tuple[LoraUse, ...]] = (),
) -> tuple[Array, ...]:
    """Run `arrays` (batch axis first, equal rows) in chunks of at most `max_batch` rows.

    `loras`: one entry a row, or none at all; adapters that are not in memory are read first.

    `deterministic` pads every chunk to `max_batch` rows, so that a row meets the same kernels alone and in a crowd.
    Raises ValueError when the arrays' rows differ or are none, AdapterError for adapters that cannot be used.
    """
    rows = {array.shape[0] for array in arrays}
    if len(rows) != 1 or 0 in rows:
        raise ValueError(f"inputs must have one and the same number of rows, at least 1; got {sorted(rows)}")
    columns = [split(array, max_batch, deterministic=deterministic) for array in arrays]
    answers = []
    for start, chunk in zip(range(0, max(rows), max_batch), zip(*columns, strict=True), strict=True):
        part, count = chunk[0]
        uses = tuple(loras[start : start + count])
        padding = uses[:1] * (len(part) - count)  # what is padded repeats the first row
        with acting_adapters(runtime, RowAdapters((*uses, *padding))):
            answers.append(tuple(output[:count] for output in runtime.run_arrays([part for part, _ in chunk])))
    if len(answers) == 1:
        return answers[0]
    return tuple(np.concatenate(outputs) for outputs in zip(*answers, strict=True))
