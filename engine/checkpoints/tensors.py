"""Maps the tensors of weights files into memory: pages are read when numbers are, and never twice.

safetensors' own reader touches every tensor that it gives out, and with it the kernel reads ahead: to take one part of
a file of 5 GB it read all of it.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from engine.checkpoints.quantised import QuantisedTensor
from families.errors import CheckpointError
from families.sources.ggml import TYPES_BY_NAME
from families.sources.header import FileFormat, Header, TensorEntry

Stored = torch.Tensor | QuantisedTensor
"""A tensor as its file has it: of a torch type, or in blocks."""

# Names are those of safetensors; GGUF spells the floats alike.
_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
}


def open_tensors(header: Header, entries: Iterable[TensorEntry]) -> dict[str, Stored]:
    """Some tensors of one file. They share its pages: whoever outlives the file's immutability must copy.

    Raises CheckpointError for a type that no weights have.
    """
    pages = _map(header.path)
    return {entry.name: _tensor(header, entry, pages) for entry in entries}


def _tensor(header: Header, entry: TensorEntry, pages: torch.Tensor) -> Stored:
    raw = pages[entry.offset : entry.offset + entry.size]
    kind = TYPES_BY_NAME.get(entry.dtype) if header.format is FileFormat.GGUF else None
    if kind is not None and kind.values > 1:
        return QuantisedTensor(raw.reshape(-1, kind.bytes), kind, torch.Size(entry.shape))
    dtype = _TYPES.get(entry.dtype)
    if dtype is None:
        raise CheckpointError(
            f"{header.path}: tensor {entry.name!r} has the type {entry.dtype}, which cannot be read as numbers; "
            f"weights may be {', '.join(_TYPES)}"
        )
    if entry.offset % dtype.itemsize:  # the format asks for no alignment, torch does
        raw = raw.clone()
    return raw.view(dtype).reshape(entry.shape)


def _map(path: Path) -> torch.Tensor:
    """The file as uint8. Copy-on-write, as torch wants memory that may be written; nobody writes."""
    return torch.from_numpy(np.memmap(path, np.uint8, mode="c"))
