"""A folder with a vocabulary and its merges draws the pictures that it draws with `tokenizer.json`."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from families.catalog import load_source
from tests.support.tiny_qwen_image import write_tiny_qwen_image
from tests.support.tiny_sd15 import write_tiny_sd15
from tests.support.whole import Wanted, open_whole

PROMPT = "A woman in a RED striped dress, it's 漢字 — naïve 👍!\n"


@pytest.mark.parametrize("write", [write_tiny_sd15, write_tiny_qwen_image])
async def test_the_same_pictures(write: Callable[[Path], Path], tmp_path: Path) -> None:
    single = write(tmp_path / "single" / "tiny")
    merges = shutil.copytree(single, tmp_path / "merges" / "tiny")
    fast = merges / "tokenizer" / "tokenizer.json"
    Tokenizer.from_file(str(fast)).model.save(str(fast.parent))
    fast.unlink()
    pictures = []
    for folder in (single, merges):
        source = load_source(folder)
        async with open_whole(source, folder.parent / "repository") as whole:
            pictures.append(await whole.draw(Wanted(PROMPT, 64, 64, guidance=4.0, negative="blue")))
            other = await whole.draw(Wanted("a man", 64, 64, guidance=4.0, negative="blue"))
    assert source.tokenizer_files == (merges / "tokenizer" / "vocab.json",)
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[1], other)
