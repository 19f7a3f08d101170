"""Prompts to token ids, as CLIP's tokenizer does with `padding="max_length"` and truncation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from families.manifest import PromptRule


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """`ids` is [1, length] int64. `kept` and `dropped` count the text's own tokens, without begin, end and padding."""

    ids: npt.NDArray[np.int64]
    kept: int
    dropped: int


class PromptTokenizer:
    """One model's tokenizer: begin, the text's tokens cut to fit, end, padding."""

    def __init__(self, file: Path, rule: PromptRule) -> None:
        """`file` is a `tokenizer.json`; whatever padding or truncation it declares is replaced by `rule`."""
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._rule = rule

    def encode(self, text: str) -> TokenizedPrompt:
        """Tokenise one prompt; the empty prompt is begin, end and padding."""
        rule = self._rule
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        room = rule.length - 2
        kept = tokens[:room]
        ids = np.full((1, rule.length), rule.pad_id, dtype=np.int64)
        ids[0, 0] = rule.begin_id
        ids[0, 1 : 1 + len(kept)] = kept
        ids[0, 1 + len(kept)] = rule.end_id
        return TokenizedPrompt(ids, len(kept), len(tokens) - len(kept))
