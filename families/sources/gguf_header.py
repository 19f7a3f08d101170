"""Reads the header of a GGUF file (versions 2 and 3, little-endian) and holds it against the file's size.

Layout: magic, version, number of tensors, number of key-value pairs, the pairs, the tensors' names, shapes, types and
offsets, then, aligned, the tensors' bytes. Shapes are stored innermost axis first.
"""

import math
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from families.errors import CheckpointError
from families.sources.ggml import OTHER_TYPES, READABLE_TYPES, GgmlType
from families.sources.header import FileFormat, Header, TensorEntry

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32
_ALIGNMENT_KEY = "general.alignment"
_SHAPE_KEY = "comfy.gguf.orig_shape."
"""Converters which fold a convolution's axes, so that a row fills whole blocks, keep its true shape under this key."""

_MAX_ENTRIES = 1_000_000
_MAX_STRING_BYTES = 64_000_000
_MAX_AXES = 8
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class _Metadata:
    """The pairs that matter here."""

    alignment: int
    shapes: dict[str, tuple[int, ...]]


def read_gguf_header(path: Path) -> Header:
    """The header of `path`; no tensor is read. Raises CheckpointError that says what does not fit."""
    size = path.stat().st_size
    with path.open("rb") as file:
        reader = _Reader(path, file, size)
        if reader.take(len(MAGIC)) != MAGIC:
            raise CheckpointError(f"{path} is no GGUF file: it does not begin with {MAGIC.decode()}")
        version = reader.number("I")
        if version not in _VERSIONS:
            detail = "it is big-endian" if version & 0xFFFF == 0 else f"its version is {version}"
            raise CheckpointError(f"{path}: {detail}; little-endian GGUF of version 2 or 3 can be read")
        tensors, pairs = reader.count("Q", "tensors"), reader.count("Q", "key-value pairs")
        metadata = _metadata(reader, pairs)
        claims = [_claim(reader, metadata) for _ in range(tensors)]
        base = _aligned(file.tell(), metadata.alignment)
    entries: dict[str, TensorEntry] = {}
    for claim in claims:
        entry = TensorEntry(claim.name, claim.dtype, claim.shape, base + claim.offset, claim.size)
        if entry.name in entries:
            raise CheckpointError(f"{path}: tensor {entry.name!r} is there twice")
        if claim.offset % metadata.alignment:
            raise CheckpointError(f"{path}: tensor {entry.name!r} is not aligned to {metadata.alignment} bytes")
        if entry.offset + entry.size > size:
            raise CheckpointError(
                f"{path} is truncated: tensor {entry.name!r} ends at byte {entry.offset + entry.size} of {size}"
            )
        entries[entry.name] = entry
    _check_overlap(path, entries)
    return Header(path, FileFormat.GGUF, entries)


class _Reader:
    """Takes bytes from the file's beginning on; running out of them is an error that names the file."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self._file, self._size = path, file, size

    def take(self, length: int) -> bytes:
        taken = self._file.read(length)
        if len(taken) < length:
            raise CheckpointError(f"{self.path} is truncated: it ends inside its header, after {self._size} bytes")
        return taken

    def skip(self, length: int) -> None:
        if self._file.tell() + length > self._size:
            raise CheckpointError(f"{self.path} is truncated: it ends inside its header, after {self._size} bytes")
        self._file.seek(length, 1)

    def number(self, code: str) -> int:
        return int(struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0])

    def count(self, code: str, of: str, maximum: int = _MAX_ENTRIES) -> int:
        value = self.number(code)
        if value > maximum:
            raise CheckpointError(f"{self.path} is broken: its header claims {value} {of}")
        return value

    def text(self) -> str:
        raw = self.take(self.count("Q", "bytes of one text", _MAX_STRING_BYTES))
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{self.path} is broken: a text in its header is not UTF-8") from error


def _metadata(reader: _Reader, pairs: int) -> _Metadata:
    alignment, shapes = _DEFAULT_ALIGNMENT, {}
    for _ in range(pairs):
        key, kind = reader.text(), reader.number("I")
        values = _value(reader, kind, keep=key == _ALIGNMENT_KEY or key.startswith(_SHAPE_KEY))
        if key == _ALIGNMENT_KEY:
            alignment = values[0] if values else 0
        elif key.startswith(_SHAPE_KEY):
            shapes[key.removeprefix(_SHAPE_KEY)] = values
    if alignment <= 0 or alignment & (alignment - 1):
        raise CheckpointError(f"{reader.path}: {_ALIGNMENT_KEY} must be a power of two, not {alignment}")
    return _Metadata(alignment, shapes)


def _value(reader: _Reader, kind: int, *, keep: bool) -> tuple[int, ...]:
    """Read past one value; its whole numbers where they are wanted."""
    if kind == _STRING:
        reader.skip(reader.number("Q"))
        return ()
    if kind == _ARRAY:
        item, length = reader.number("I"), reader.number("Q")
        if item == _ARRAY:
            raise CheckpointError(f"{reader.path}: its header nests arrays, which GGUF does not define")
        if item in _SCALARS and not keep:
            reader.skip(length * struct.calcsize(f"<{_SCALARS[item]}"))
            return ()
        if length > (_MAX_AXES if keep else _MAX_ENTRIES):
            raise CheckpointError(f"{reader.path} is broken: its header claims an array of {length} values")
        return tuple(number for _ in range(length) for number in _value(reader, item, keep=keep))
    if kind not in _SCALARS:
        raise CheckpointError(f"{reader.path} is broken: its header has a value of the unknown type {kind}")
    code = _SCALARS[kind]
    raw = struct.unpack(f"<{code}", reader.take(struct.calcsize(f"<{code}")))[0]
    return (raw,) if keep and isinstance(raw, int) else ()


@dataclass(frozen=True, slots=True)
class _Claim:
    """One tensor as the header tells it; `offset` counts from the first tensor's byte."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


def _claim(reader: _Reader, metadata: _Metadata) -> _Claim:
    name = reader.text()
    axes = reader.count("I", f"axes of tensor {name!r}", _MAX_AXES)
    stored = tuple(reader.number("Q") for _ in range(axes))[::-1]
    kind = _type(reader, name, reader.number("I"))
    offset = reader.number("Q")
    count = math.prod(stored)
    if count % kind.values or (stored and stored[-1] % kind.values):
        raise CheckpointError(
            f"{reader.path}: rows of tensor {name!r} {list(stored)} do not fill blocks of {kind.name}"
        )
    shape = metadata.shapes.get(name, stored)
    if math.prod(shape) != count:
        raise CheckpointError(f"{reader.path}: tensor {name!r} is {list(stored)}, its original shape {list(shape)}")
    return _Claim(name, kind.name, shape, offset, count // kind.values * kind.bytes)


def _type(reader: _Reader, name: str, number: int) -> GgmlType:
    kind = READABLE_TYPES.get(number)
    if kind is None:
        found = OTHER_TYPES.get(number, f"unknown number {number}")
        known = ", ".join(known.name for known in READABLE_TYPES.values())
        raise CheckpointError(f"{reader.path}: tensor {name!r} has the type {found}; readable are {known}")
    return kind


def _check_overlap(path: Path, entries: dict[str, TensorEntry]) -> None:
    ordered = sorted(entries.values(), key=lambda entry: entry.offset)
    for before, after in pairwise(ordered):
        if before.offset + before.size > after.offset:
            raise CheckpointError(
                f"{path}: tensors {before.name!r} and {after.name!r} overlap: their offsets are wrong"
            )


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment
