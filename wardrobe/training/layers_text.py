"""Captions as the layered model reads them: Qwen2's byte-level tokens in Qwen-Image's template."""

from itertools import islice

import numpy as np
import numpy.typing as npt
from transformers import Qwen2Tokenizer

from families.qwen_image import PROMPT_TEMPLATE
from wardrobe.world.captions import sample_caption
from wardrobe.world.scene import scenes

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
)  # fmt: skip
VOCABULARY_SIZE = 900
INSTRUCTION = 34
"""Tokens at the beginning that the denoiser is not shown: with Qwen's own tokenizer, the template's."""
LENGTH = 64
"""Tokens that the denoiser is shown: the fewest that serving pads to."""
_SEED = 5


def train_tokenizer(count: int = 20000) -> Qwen2Tokenizer:
    """Merges of so many captions and of the template's own words."""
    rng = np.random.default_rng(_SEED)
    captions = [sample_caption(scene, rng) for scene in islice(scenes(_SEED, held_out=False), count)]
    base = Qwen2Tokenizer(vocab=None, merges=None)
    trained: Qwen2Tokenizer = base.train_new_from_iterator(
        [*captions, *[PROMPT_TEMPLATE] * (count // 20)],
        VOCABULARY_SIZE - len(SPECIAL),
        new_special_tokens=list(SPECIAL),
    )
    return trained


def encode(tokenizer: Qwen2Tokenizer, captions: list[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Token ids and which of them are no padding, each [B, 34 + N], N at most 64: as long as the longest caption."""
    ids = np.zeros((len(captions), INSTRUCTION + LENGTH), np.int64)
    mask = np.zeros(ids.shape, np.bool_)
    for row, caption in enumerate(captions):
        tokens = tokenizer(PROMPT_TEMPLATE.format(caption)).input_ids[: ids.shape[1]]
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = True
    used = int(np.flatnonzero(mask.any(axis=0))[-1]) + 1
    return ids[:, :used], mask[:, :used]
