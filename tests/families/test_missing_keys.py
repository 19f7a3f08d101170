"""A folder that lacks any one key of its configurations is refused by name, or served without it: never a traceback."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from families.catalog import load_source
from families.errors import ManifestError
from tests.families.conftest import write_json
from tests.support.tiny_flux2 import write_tiny_flux2
from tests.support.tiny_qwen_image import write_tiny_qwen_image, write_tiny_qwen_image_edit
from tests.support.tiny_qwen_image_layered import write_tiny_qwen_image_layered
from tests.support.tiny_sd3 import write_tiny_sd3
from tests.support.tiny_sd15 import write_tiny_sd15
from tests.support.tiny_sdxl import write_tiny_sdxl

WRITERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "sd15": (write_tiny_sd15, "sample_size"),
    "sdxl": (write_tiny_sdxl, "projection_dim"),
    "sd3": (write_tiny_sd3, "pos_embed_max_size"),
    "flux2": (write_tiny_flux2, "num_hidden_layers"),
    "qwen-image": (write_tiny_qwen_image, "temperal_downsample"),
    "qwen-image-edit": (write_tiny_qwen_image_edit, "in_channels"),
    "qwen-image-layered": (write_tiny_qwen_image_layered, "use_layer3d_rope"),
}
_VOCABULARIES = ("vocab.json",)


def keys(folder: Path) -> Iterator[tuple[Path, str]]:
    for file in sorted(folder.rglob("*.json")):
        if file.name not in _VOCABULARIES:
            yield from ((file, key) for key in json.loads(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("family", list(WRITERS))
def test_no_key_is_missed_in_silence(family: str, tmp_path: Path) -> None:
    write, needed = WRITERS[family]
    folder = write(tmp_path / "tiny")
    load_source(folder)
    refused = set()
    for file, key in list(keys(folder)):
        text = file.read_text(encoding="utf-8")
        loaded = json.loads(text)
        del loaded[key]
        write_json(file, loaded)
        try:
            load_source(folder)
        except ManifestError as error:
            assert str(file.parent) in str(error), key
            refused.add(key)
        finally:
            file.write_text(text, encoding="utf-8")
    assert needed in refused


def test_file_and_key_are_named(model_folder: Path) -> None:
    write_json(model_folder / "unet" / "config.json", {})
    with pytest.raises(ManifestError, match=r"unet/config\.json: sample_size is missing"):
        load_source(model_folder)
