"""Train the byte-level BPE tokenizer: `python -m wardrobe.training.tokenizer`.

The vocabulary is laid out as CLIP's: 256 bytes, 256 word-final bytes, merges, then the two special tokens.
Every byte string has tokens, so nothing a user types becomes unknown.
"""

import argparse
import logging
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers.normalizers import Lowercase
from transformers import CLIPTokenizer

from wardrobe.training.models import TEXT_LENGTH, Vocabulary
from wardrobe.training.runtime import runtime_folder
from wardrobe.world.captions import sample_caption
from wardrobe.world.scene import scenes

log = logging.getLogger(__name__)

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
VOCABULARY_SIZE = 1024
FINAL = "tokenizer"
# Words worth whole tokens although no caption has them: people will ask for them.
_EXTRA_WORDS = "photo portrait girl boy lady shirt pants jeans blouse jumper stripes dots polka plaid checkered smiling"


def train(captions: list[str]) -> CLIPTokenizer:
    """Learn merges from `captions` and wrap them the way transformers' CLIP tokenizer works."""
    learner = Tokenizer(models.BPE(end_of_word_suffix=WORD_END))
    learner.normalizer = Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    room = VOCABULARY_SIZE - 2 * len(alphabet) - 2
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE, initial_alphabet=alphabet, end_of_word_suffix=WORD_END, show_progress=False
    )
    learner.train_from_iterator([*captions, *([_EXTRA_WORDS] * 200)], trainer)
    with tempfile.TemporaryDirectory() as folder:
        learner.model.save(folder)
        lines = (Path(folder) / "merges.txt").read_text(encoding="utf-8").splitlines()
    pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")][:room]
    tokens = [*alphabet, *(letter + WORD_END for letter in alphabet)]
    known = set(tokens)
    for left, right in pairs:
        if left + right not in known:
            tokens.append(left + right)
            known.add(left + right)
    vocabulary = {token: index for index, token in enumerate([*tokens, BOS, EOS])}
    return CLIPTokenizer(vocab=vocabulary, merges=pairs, model_max_length=TEXT_LENGTH)


def vocabulary_of(tokenizer: CLIPTokenizer) -> Vocabulary:
    """What the text encoder must know."""
    return Vocabulary(
        size=len(tokenizer),
        bos=int(tokenizer.bos_token_id),
        eos=int(tokenizer.eos_token_id),
        pad=int(tokenizer.pad_token_id),
    )


def encode(tokenizer: CLIPTokenizer, captions: list[str]) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    """Token ids int64 [B, 64], padded and cut as the serving pipeline does it."""
    ids: np.ndarray[tuple[int, int], np.dtype[np.int64]] = np.asarray(
        tokenizer(captions, padding="max_length", max_length=TEXT_LENGTH, truncation=True).input_ids, dtype=np.int64
    )
    return ids


def save(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """tokenizer.json for the fast libraries, vocab.json and merges.txt for the others."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    tokenizer.backend_tokenizer.model.save(str(folder))


def main() -> None:
    """Learn from captions of training scenes and save the tokenizer."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--captions", type=int, default=20000)
    options = parser.parse_args()
    rng = np.random.default_rng(5)
    captions = [sample_caption(scene, rng) for scene in islice(scenes(5, held_out=False), options.captions)]
    tokenizer = train(captions)
    save(tokenizer, runtime_folder(options.runtime) / FINAL)
    lengths = [len(ids) for ids in tokenizer(captions).input_ids]
    log.info("%s; caption lengths: mean %.1f, max %d", vocabulary_of(tokenizer), float(np.mean(lengths)), max(lengths))


if __name__ == "__main__":
    main()
