"""Hashes: right, remembered, beside nobody's model, and never in the way."""

import hashlib
import json
import os
import threading
import time
from pathlib import Path

import pytest

from families.registry import DigestState
from families.registry.hashes import HashCache, HashingStopped
from families.registry.hashing import Hasher
from families.registry.inventory import ModelFile, take_inventory


@pytest.fixture
def cache(tmp_path: Path) -> HashCache:
    return HashCache(tmp_path / "runtime" / "hashes.json")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "b.safetensors").write_bytes(b"bytes")
    (folder / "a.json").write_bytes(b"{}")
    return folder


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_file_has_its_own_hash_and_a_folder_that_of_its_list(cache: HashCache, model: Path) -> None:
    hasher = Hasher(cache)
    assert hasher.digest_now(take_inventory(model / "a.json")).sha256 == sha256(b"{}")
    lines = f"a.json\0{2}\0{sha256(b'{}')}\nunet/b.safetensors\0{5}\0{sha256(b'bytes')}\n"
    assert hasher.digest_now(take_inventory(model)).sha256 == sha256(lines.encode())
    hasher.close()


def test_a_renamed_file_changes_the_folder(cache: HashCache, model: Path) -> None:
    hasher = Hasher(cache)
    before = hasher.digest_now(take_inventory(model))
    (model / "a.json").rename(model / "c.json")
    assert hasher.digest_now(take_inventory(model)) != before
    hasher.close()


def test_hashes_outlive_the_process_until_a_file_changes(cache: HashCache, model: Path, tmp_path: Path) -> None:
    file = model / "a.json"
    hasher = Hasher(cache)
    hasher.digest_now(take_inventory(file))
    hasher.close()
    again = HashCache(tmp_path / "runtime" / "hashes.json")
    assert again.known(take_inventory(file).files[0]) == sha256(b"{}")
    os.utime(file, ns=(0, 0))
    assert again.known(take_inventory(file).files[0]) is None
    assert sorted(path.name for path in model.rglob("*")) == ["a.json", "b.safetensors", "unet"]


@pytest.mark.parametrize("text", ["{", "[]", '{"/x": [1]}', '{"/x": ["a", "b", "c"]}'])
def test_a_broken_cache_costs_time_only(model: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "hashes.json").write_text(text)
    hasher = Hasher(HashCache(tmp_path / "hashes.json"))
    assert hasher.digest_now(take_inventory(model / "a.json")).sha256 == sha256(b"{}")
    hasher.close()
    assert json.loads((tmp_path / "hashes.json").read_text())[str(model / "a.json")][2] == sha256(b"{}")


def test_two_processes_keep_each_others_hashes(model: Path, tmp_path: Path) -> None:
    one, other = HashCache(tmp_path / "h.json"), HashCache(tmp_path / "h.json")
    first, second = take_inventory(model).files
    one.compute(first, threading.Event())
    other.compute(second, threading.Event())
    assert len(json.loads((tmp_path / "h.json").read_text())) == 2


def test_a_cache_that_cannot_be_written_is_kept_in_memory(model: Path, tmp_path: Path) -> None:
    (tmp_path / "runtime").write_text("a file where the folder should be")
    hasher = Hasher(HashCache(tmp_path / "runtime" / "hashes.json"))
    inventory = take_inventory(model)
    assert hasher.digest_now(inventory).state is DigestState.DONE
    assert hasher.digest(inventory).state is DigestState.DONE
    hasher.close()


def test_in_the_background_it_is_pending_and_then_done(cache: HashCache, model: Path) -> None:
    hasher = Hasher(cache)
    inventory = take_inventory(model)
    first = hasher.digest(inventory)
    assert first.state is DigestState.PENDING
    limit = time.monotonic() + 10
    while hasher.digest(inventory).state is DigestState.PENDING and time.monotonic() < limit:
        time.sleep(0.005)
    assert hasher.digest(inventory).state is DigestState.DONE
    hasher.close()


def test_closing_does_not_wait_for_a_large_file(cache: HashCache, tmp_path: Path) -> None:
    large = tmp_path / "large.safetensors"
    with large.open("wb") as stream:
        stream.truncate(64 << 30)  # sparse: takes no space, and minutes to read
    hasher = Hasher(cache)
    started = time.monotonic()
    assert hasher.digest(take_inventory(large)).state is DigestState.PENDING
    hasher.close()
    assert time.monotonic() - started < 5
    assert cache.known(take_inventory(large).files[0]) is None


def test_a_file_that_changes_while_it_is_read_has_no_hash(cache: HashCache, model: Path) -> None:
    stat = (model / "a.json").stat()
    stale = ModelFile(model / "a.json", "a.json", stat.st_size + 1, stat.st_mtime_ns)
    with pytest.raises(OSError, match="changed while it was read"):
        cache.compute(stale, threading.Event())
    assert cache.known(stale) is None


def test_stopping_keeps_no_half_hash(cache: HashCache, model: Path) -> None:
    stop = threading.Event()
    stop.set()
    file = take_inventory(model).files[0]
    with pytest.raises(HashingStopped):
        cache.compute(file, stop)
    assert cache.known(file) is None


def test_an_unreadable_file_is_failed_not_pending_for_ever(cache: HashCache, model: Path) -> None:
    inventory = take_inventory(model)
    (model / "a.json").unlink()
    hasher = Hasher(cache)
    assert hasher.digest_now(inventory).state is DigestState.FAILED
    hasher.digest(inventory)
    limit = time.monotonic() + 10
    while hasher.digest(inventory).state is DigestState.PENDING and time.monotonic() < limit:
        time.sleep(0.005)
    assert hasher.digest(inventory).state is DigestState.FAILED
    hasher.close()
