from itertools import islice

import numpy as np
import pytest
from tokenizers import Tokenizer
from transformers import CLIPTokenizer

from wardrobe.training import tokenizer as bpe
from wardrobe.training.export import WEIGHTS
from wardrobe.training.models import TEXT_LENGTH
from wardrobe.world.captions import sample_caption
from wardrobe.world.scene import scenes

FOLDER = WEIGHTS / "tokenizer"
ODD = [
    "",
    "a",
    "Ünïcode café ☃ PHOTO",
    "it's  3 T-shirts!!",
    "x" * 300,
    "红色的裙子",
    "tab\tand\nnewline",
    "<|endoftext|> a",
]


@pytest.fixture(scope="module")
def clip() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(FOLDER)


def test_both_libraries_give_the_same_ids(clip: CLIPTokenizer) -> None:
    plain = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    rng = np.random.default_rng(0)
    captions = [sample_caption(scene, rng) for scene in islice(scenes(8, held_out=True), 40)]
    for text in captions + ODD:
        assert clip(text).input_ids == plain.encode(text).ids, text


def test_ids_are_framed_padded_and_cut(clip: CLIPTokenizer) -> None:
    ids = bpe.encode(clip, ["a woman", "red " * 100])
    vocabulary = bpe.vocabulary_of(clip)
    assert ids.shape == (2, TEXT_LENGTH)
    assert (ids[:, 0] == vocabulary.bos).all()
    assert ids[0, 3] == vocabulary.eos
    assert (ids[0, 4:] == vocabulary.pad).all()
    assert ids[1, -1] == vocabulary.eos
    assert int(ids.max()) < vocabulary.size


def test_captions_fit_and_their_words_are_whole(clip: CLIPTokenizer) -> None:
    rng = np.random.default_rng(1)
    captions = [sample_caption(scene, rng) for scene in islice(scenes(9, held_out=True), 100)]
    assert max(len(clip(caption).input_ids) for caption in captions) <= TEXT_LENGTH
    assert clip.tokenize("a red striped dress") == ["a</w>", "red</w>", "striped</w>", "dress</w>"]


def test_training_is_reproducible() -> None:
    captions = ["a red dress", "a blue striped skirt on a beach"] * 20
    assert bpe.train(captions).get_vocab() == bpe.train(captions).get_vocab()
