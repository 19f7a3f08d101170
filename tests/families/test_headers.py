"""Headers of weights files: read whole or refused, with the file's name and what is wrong."""

import io
import json
import pickle
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import safetensors
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from families.errors import CheckpointError
from families.sources.ggml import OTHER_TYPES, READABLE_TYPES
from families.sources.header import FileFormat
from families.sources.read import read_header


@pytest.fixture
def safetensors_file(tmp_path: Path) -> Path:
    save_file({"a": np.ones((2, 3), np.float32), "b": np.zeros(5, np.int64)}, tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    """Two tensors and metadata of every kind that is skipped."""
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", arch="sd1")
    writer.add_description("text")
    writer.add_array("words", ["one", "two"])
    writer.add_array("numbers", [1, 2, 3])
    writer.add_float32("x", 0.5)
    q4 = gguf.GGMLQuantizationType.Q4_0
    writer.add_tensor("a", gguf.quants.quantize(np.ones((3, 64), np.float32), q4), raw_dtype=q4)
    writer.add_tensor("b", np.zeros(8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "m.gguf"


def _write(path: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def _tensor(begin: int, end: int, shape: Any = (2,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_safetensors_say_what_they_hold(safetensors_file: Path) -> None:
    header = read_header(safetensors_file)
    assert (header.format, header.dtypes) == (FileFormat.SAFETENSORS, ("F32", "I64"))
    entry = header.tensors["a"]
    assert (entry.shape, entry.size) == ((2, 3), 24)
    raw = safetensors_file.read_bytes()[entry.offset : entry.offset + entry.size]
    assert np.frombuffer(raw, np.float32).tolist() == [1.0] * 6


def test_types_and_their_sizes_are_those_of_the_format(tmp_path: Path) -> None:
    """Its own library names them all when it meets one that it does not know."""
    path = tmp_path / "m.safetensors"
    with pytest.raises(safetensors.SafetensorError, match="expected one of") as refused:
        safetensors.deserialize(_write(path, {"a": _tensor(0, 2, dtype="none")}, bytes(2)).read_bytes())
    known = set(re.findall(r"`([A-Z0-9_]+)`", str(refused.value)))
    assert {"F4", "F6_E2M3", "F8_E8M0", "C64"} < known
    for dtype in known:
        size = next(size for size in range(1, 200) if _library_reads(dtype, size, path))
        entry = read_header(path).tensors["a"]
        assert (entry.dtype, entry.shape, entry.size) == (dtype, (2, 8), size)
        _write(path, {"a": _tensor(0, size - 1, shape=(2, 8), dtype=dtype)}, bytes(size - 1))
        with pytest.raises(CheckpointError, match=f"is {size} bytes, not {size - 1}"):
            read_header(path)


def _library_reads(dtype: str, size: int, path: Path) -> bool:
    _write(path, {"a": _tensor(0, size, shape=(2, 8), dtype=dtype)}, bytes(size))
    try:
        safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError:
        return False
    return True


def test_gguf_agrees_with_its_own_library(gguf_file: Path) -> None:
    header = read_header(gguf_file)
    assert (header.format, header.dtypes) == (FileFormat.GGUF, ("F32", "Q4_0"))
    for tensor in gguf.GGUFReader(gguf_file).tensors:
        entry = header.tensors[tensor.name]
        assert (entry.offset, entry.size) == (tensor.data_offset, tensor.n_bytes)
        assert entry.shape == tuple(int(side) for side in reversed(tensor.shape))


def test_block_sizes_are_those_of_the_library() -> None:
    theirs = {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    assert all(theirs[kind.number] == (kind.values, kind.bytes) for kind in READABLE_TYPES.values())
    names = {int(kind): kind.name for kind in gguf.GGMLQuantizationType}
    known = {number: kind.name for number, kind in READABLE_TYPES.items()} | dict(OTHER_TYPES)
    assert known.items() <= names.items()


def test_content_decides_and_not_the_name(safetensors_file: Path, gguf_file: Path) -> None:
    as_gguf, as_safetensors = safetensors_file.with_suffix(".any"), gguf_file.with_name("other.safetensors")
    safetensors_file.rename(as_gguf)
    gguf_file.rename(as_safetensors)
    assert read_header(as_gguf).format is FileFormat.SAFETENSORS
    assert read_header(as_safetensors).format is FileFormat.GGUF


@pytest.mark.parametrize("cut", [0, 3, 7, 8, 20, -1, -30])
@pytest.mark.parametrize("kind", ["safetensors_file", "gguf_file"])
def test_truncation_is_named(kind: str, cut: int, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(kind)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match="truncated") as caught:
        read_header(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ({"a": _tensor(0, 8)}, bytes(9), "1 bytes after its last tensor"),
        ({"a": _tensor(0, 8), "b": _tensor(4, 12)}, bytes(12), "'b' overlaps"),
        ({"a": _tensor(0, 8), "b": _tensor(12, 20)}, bytes(20), "'b' leaves a gap"),
        ({"a": _tensor(0, 12)}, bytes(12), "is 8 bytes, not 12"),
        ({"a": _tensor(8, 0)}, bytes(8), "impossible"),
        ({"a": _tensor(0, 8, shape=(-2, -1))}, bytes(8), "impossible"),
        ({"a": _tensor(0, 8, shape=(2.0,))}, bytes(8), "impossible"),
        ({"a": _tensor(0, 8, shape=(True, 2))}, bytes(8), "impossible"),
        ({"a": _tensor(0, 8, shape=7)}, bytes(8), "lacks a sound"),
        ({"a": _tensor(0, 8, dtype="F31")}, bytes(8), "unknown type 'F31'; known: F64"),
        ({"a": _tensor(0, 8, dtype=["F32"])}, bytes(8), "unknown type"),
        ({"a": _tensor(0, 1, shape=(3,), dtype="F4")}, bytes(1), "does not fill whole bytes"),
        ({"a": _tensor(0, 2, shape=(4,), dtype="F6_E2M3")}, bytes(2), "is 3 bytes, not 2"),
        ({"a": {}}, b"", "lacks a sound"),
        ({"a": 3}, b"", "lacks a sound"),
        ([1], b"", "must be a JSON object, not list"),
        (b'{"a": {}, "a": {}}', b"", "twice"),
        (b"\xff\xfe{}", b"", "not JSON"),
        (b"[" * 100_000, b"", "not JSON"),
        (b"{", b"", "not JSON"),
    ],
)
def test_headers_that_lie_are_refused(header: object, data: bytes, message: str, tmp_path: Path) -> None:
    path = _write(tmp_path / "m.safetensors", header, data)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_header(path)
    assert str(path) in str(caught.value)


def test_a_header_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError, match="100000000 are allowed"):
        read_header(path)


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"state_dict": [1.0]}))


def _zipped(path: Path) -> None:
    torch.save({"weight": torch.ones(2)}, path)


@pytest.mark.parametrize("write", [_pickled, _zipped])
@pytest.mark.parametrize("name", ["m.ckpt", "m.pt", "m.pth", "m.bin", "m.safetensors", "m.gguf", "m"])
def test_pickles_are_refused_under_every_name(write: Any, name: str, tmp_path: Path) -> None:
    write(tmp_path / name)
    with pytest.raises(CheckpointError, match="refused; convert it to safetensors"):
        read_header(tmp_path / name)


def test_a_header_that_begins_like_a_pickle_is_none(tmp_path: Path) -> None:
    """A length of 0x0280 has the first two bytes of pickle protocol 2."""
    text = json.dumps({"__metadata__": {"pad": "x" * (0x0280 - 29)}}).encode()
    assert len(text) == 0x0280
    assert read_header(_write(tmp_path / "m.safetensors", text)).tensors == {}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.gguf cannot be read"):
        read_header(tmp_path / "none.gguf")


def _gguf(
    version: int = 3,
    tensors: int = 1,
    pairs: bytes = b"",
    count: int = 0,
    kind: int = 0,
    offset: int = 0,
    side: int = 2,
) -> bytes:
    """One tensor `a` of `side` values, everything else as told."""
    out = io.BytesIO()
    out.write(b"GGUF" + struct.pack("<IQQ", version, tensors, count) + pairs)
    out.write(struct.pack("<Q", 1) + b"a" + struct.pack("<IQIQ", 1, side, kind, offset))
    out.write(bytes(-out.tell() % 32))
    return out.getvalue() + bytes(64)


def _pair(key: str, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind) + value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_gguf(version=1), "its version is 1"),
        (_gguf(version=3 << 24), "big-endian"),
        (_gguf(tensors=1 << 40), "claims 1099511627776 tensors"),
        (_gguf(kind=4), "unknown number 4; readable are F32"),
        (_gguf(kind=16), "type IQ2_XXS; readable are F32"),
        (_gguf(kind=2), r"\[2\] do not fill blocks of Q4_0"),
        (_gguf(offset=1), "not aligned"),
        (_gguf(offset=1 << 62), "truncated"),
        (_gguf(side=1 << 62), "truncated"),
        (_gguf(count=1, pairs=_pair("general.alignment", 4, struct.pack("<I", 3))), "power of two, not 3"),
        (_gguf(count=1, pairs=_pair("k", 99, b"")), "unknown type 99"),
        (_gguf(count=1, pairs=_pair("k", 9, struct.pack("<IQ", 9, 1))), "nests arrays"),
        (_gguf(count=1, pairs=_pair("k", 9, struct.pack("<IQ", 8, 1 << 40))), "array of 1099511627776"),
        (_gguf(count=1, pairs=_pair("comfy.gguf.orig_shape.a", 9, struct.pack("<IQii", 5, 2, 3, 1))), "original shape"),
        (b"GGUX" + bytes(100), "does not begin with GGUF"),
    ],
)
def test_gguf_headers_that_lie_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_header(path)
    assert str(path) in str(caught.value)


def test_two_tensors_in_one_place_are_refused(gguf_file: Path) -> None:
    content = bytearray(gguf_file.read_bytes())
    place = content.index(b"b" + struct.pack("<I", 1)) + 1 + 4 + 8 + 4
    content[place : place + 8] = bytes(8)
    gguf_file.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="'a' and 'b' overlap"):
        read_header(gguf_file)


def test_a_folded_tensor_has_its_original_shape(tmp_path: Path) -> None:
    """Converters flatten convolutions so that rows fill blocks."""
    shape = _pair("comfy.gguf.orig_shape.a", 9, struct.pack("<IQiii", 5, 3, 2, 16, 1))
    (tmp_path / "m.gguf").write_bytes(_gguf(count=1, pairs=shape, kind=2, side=32))
    assert read_header(tmp_path / "m.gguf").tensors["a"].shape == (2, 16, 1)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_refused_or_harmless(data: st.DataObject, safetensors_file: Path, gguf_file: Path) -> None:
    """Whatever bytes are hurt, the answer is a header or a CheckpointError, never another exception."""
    original = data.draw(st.sampled_from([safetensors_file, gguf_file]))
    content = bytearray(original.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = original.with_name("damaged")
    damaged.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        header = read_header(damaged)
    except CheckpointError:
        return
    assert all(entry.offset + entry.size <= damaged.stat().st_size for entry in header.tensors.values())


def test_zip_archives_of_others_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.safetensors", "w") as archive:
        archive.writestr("data.pkl", b"")
    with pytest.raises(CheckpointError, match="zip archive"):
        read_header(tmp_path / "m.safetensors")
