"""Reads the header of a safetensors file and holds every claim in it against the file's size.

Layout: uint64 length of the header, the header as JSON, then the tensors' bytes without a gap.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from families.errors import CheckpointError
from families.sources.header import FileFormat, Header, TensorEntry

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100_000_000
_METADATA = "__metadata__"
_ITEM_BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64,
    "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip
"""Every type of the format. Which of them become weights is the loader's business (`engine.checkpoints.tensors`)."""


def read_safetensors_header(path: Path) -> Header:
    """The header of `path`; no tensor is read. Raises CheckpointError that says what does not fit."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = _header_length(path, file, size)
        entries = _parse(path, file.read(length))
    base = LENGTH_BYTES + length
    tensors = [_entry(path, name, value, base) for name, value in entries.items() if name != _METADATA]
    _check_places(path, tensors, base, size)
    given = entries.get(_METADATA)
    metadata = {name: str(text) for name, text in given.items()} if isinstance(given, dict) else {}
    return Header(path, FileFormat.SAFETENSORS, {entry.name: entry for entry in tensors}, metadata)


def _header_length(path: Path, file: BinaryIO, size: int) -> int:
    if size < LENGTH_BYTES:
        raise CheckpointError(f"{path} is truncated: {size} bytes are no safetensors file")
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if length > MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path} is no safetensors file, or a broken one: its header would be {length} bytes long, "
            f"{MAX_HEADER_BYTES} are allowed"
        )
    if LENGTH_BYTES + length > size:
        raise CheckpointError(
            f"{path} is truncated: its header alone needs {LENGTH_BYTES + length} of its {size} bytes"
        )
    return length


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise CheckpointError(f"{path}: its header names a tensor or a field twice")
        return made

    try:
        loaded = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no safetensors file, or a broken one: its header is not JSON") from error
    if not isinstance(loaded, dict):
        raise CheckpointError(f"{path}: its header must be a JSON object, not {type(loaded).__name__}")
    return loaded


def _entry(path: Path, name: str, value: Any, base: int) -> TensorEntry:
    """One tensor's claims, its shape and type held against its length."""
    try:
        dtype, shape, (begin, end) = value["dtype"], tuple(value["shape"]), value["data_offsets"]
        numbers = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: tensor {name!r} lacks a sound dtype, shape or data_offsets") from error
    if not numbers or begin > end:
        raise CheckpointError(f"{path}: tensor {name!r} has an impossible shape {list(shape)} or place {begin}..{end}")
    item = _ITEM_BITS.get(dtype) if isinstance(dtype, str) else None
    if item is None:
        raise CheckpointError(f"{path}: tensor {name!r} has the unknown type {dtype!r}; known: {', '.join(_ITEM_BITS)}")
    wanted, rest = divmod(math.prod(shape) * item, 8)
    if rest:
        raise CheckpointError(f"{path}: tensor {name!r}, {dtype} {list(shape)}, does not fill whole bytes")
    if end - begin != wanted:
        raise CheckpointError(f"{path}: tensor {name!r}, {dtype} {list(shape)}, is {wanted} bytes, not {end - begin}")
    return TensorEntry(name, dtype, shape, base + begin, wanted)


def _check_places(path: Path, tensors: Iterable[TensorEntry], base: int, size: int) -> None:
    """Tensors must fill the file from the header to its end, each byte once."""
    expected = base
    for entry in sorted(tensors, key=lambda entry: (entry.offset, entry.size)):
        if entry.offset != expected:
            what = "overlaps another tensor" if entry.offset < expected else "leaves a gap before it"
            raise CheckpointError(f"{path}: tensor {entry.name!r} {what}: its offsets are wrong")
        expected += entry.size
    if expected > size:
        raise CheckpointError(f"{path} is truncated: its tensors need {expected} bytes, it has {size}")
    if expected < size:
        raise CheckpointError(f"{path}: {size - expected} bytes after its last tensor belong to nothing")
