"""What a weights file says of itself before its first tensor: names, types, shapes and places."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class FileFormat(StrEnum):
    """Formats of weights files that hold numbers and no code."""

    SAFETENSORS = "safetensors"
    GGUF = "gguf"


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor in a file. `dtype` is spelled as its format spells it; `offset` and `size` are bytes in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Header:
    """A file whose header was read and agrees with the file's size. `metadata` is what safetensors' writers add."""

    path: Path
    format: FileFormat
    tensors: Mapping[str, TensorEntry]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The element types that occur, in alphabetical order."""
        return tuple(sorted({entry.dtype for entry in self.tensors.values()}))
