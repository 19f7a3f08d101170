"""A hub with one small repository."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.download.hub import Hub, Repository, running_hub

NAME = "someone/toy-model"


def safetensors(size: int) -> bytes:
    """A sound file with one tensor of `size` bytes."""
    header = json.dumps({"x": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(index * 7 % 251 for index in range(256)) * (size // 256)


def toy_files() -> dict[str, bytes]:
    return {
        ".gitattributes": b"*.safetensors filter=lfs",
        "LICENSE.md": b"MIT",
        "model_index.json": b'{"_class_name": "StableDiffusionPipeline"}',
        "tokenizer/merges.txt": "#version: 0.2\nt h\u00e9".encode(),
        "tokenizer/empty.json": b"",
        "unet/config.json": b'{"sample_size": 8}',
        "unet/diffusion_pytorch_model.safetensors": safetensors(1 << 20),
        "unet/diffusion_pytorch_model.bin": b"\x80\x04.",
        "train.py": b"import os",
    }


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        hub.repositories[NAME] = Repository(toy_files(), revisions=("main", "refs/pr/1"))
        yield hub


@pytest.fixture
def place(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a user whose hub is ours and who has no token."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path
