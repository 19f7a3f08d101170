"""Prompts to the text encoder's inputs: every tokenizer of the model, begin, the text in pieces, end, padding."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from families.batching import PROMPT_PIECES
from families.manifest import PromptRule
from families.tensors import NamedTensor
from families.tokenizers import open_tokenizer
from gateway.domain.backend import Tokens
from gateway.pipelines.prompts.pictures import ShownPictures, show
from gateway.pipelines.prompts.pieces import cut
from gateway.pipelines.prompts.weighting import WeightedText, parse_weights

_COMMAS = (",", ",</w>")
"""A comma as a token; CLIP's vocabulary marks the ends of words."""


@dataclass(frozen=True, slots=True)
class PromptPiece:
    """`tokens`: the text encoder's inputs, one row.

    `weights` [length] float32: how much each of the first tokenizer's tokens counts; None: all as they are.
    """

    tokens: Tokens
    weights: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """`pieces`: what the text encoder reads one by one; at least one.

    `kept` and `dropped` count the text's own tokens by the first tokenizer, without begin, end and padding.
    """

    pieces: tuple[PromptPiece, ...]
    kept: int
    dropped: int


class PromptTokenizer:
    """One model's tokenizers, which all read the same text.

    Where all of them allow pieces, a long prompt is read in up to `families.batching.PROMPT_PIECES` and brackets are
    weights (`gateway.pipelines.prompts.weighting`); elsewhere it is cut after one, and brackets are letters.
    """

    def __init__(self, files: Sequence[Path], rules: Sequence[PromptRule]) -> None:
        """`files`: one a rule (`families.tokenizers`); whatever padding or truncation they declare is replaced.

        Raises ManifestError where one cannot be opened.
        """
        self._readers = tuple(_Reader(file, rule) for file, rule in zip(files, rules, strict=True))
        self._in_pieces = all(rule.chunked for rule in rules)
        seeing = next((rule.pictures for rule in rules if rule.pictures is not None), None)
        self._no_pictures = ShownPictures("", ()) if seeing is None else show((), seeing)

    def encode(self, text: str, pictures: ShownPictures | None = None) -> TokenizedPrompt:
        """Tokenise one prompt; the empty prompt is begin, end and padding.

        `pictures` are of this model's `PictureRule`; None: there are none, or nobody who would look at them.
        """
        shown = pictures or self._no_pictures
        text = shown.words + text
        parts = parse_weights(text) if self._in_pieces else (WeightedText(text, 1.0),)
        read = [reader.read(parts, PROMPT_PIECES if self._in_pieces else 1) for reader in self._readers]
        count = max(len(one.pieces) for one in read)
        pieces = []
        for position in range(count):
            # Tokenizers may count differently: who is done first reads the empty text beside the others' last pieces.
            side_by_side = [
                one.pieces[position] if position < len(one.pieces) else reader.empty
                for one, reader in zip(read, self._readers, strict=True)
            ]
            tokens = tuple(tensor for piece in side_by_side for tensor in piece.tokens)
            pieces.append(PromptPiece((*tokens, *shown.tokens), side_by_side[0].weights))
        return TokenizedPrompt(tuple(pieces), read[0].kept, read[0].dropped)

    @cached_property
    def empty(self) -> PromptPiece:
        """The empty text, which fills up a prompt of fewer pieces than another."""
        return self.encode("").pieces[0]


class _Reader:
    """One tokenizer."""

    def __init__(self, file: Path, rule: PromptRule) -> None:
        self._tokenizer = open_tokenizer(file)
        self._rule = rule
        self._begin = [] if rule.begin_id is None else [rule.begin_id]
        self._end = [] if rule.end_id is None else [rule.end_id]
        self._room = rule.length - len(self._begin) - len(self._end)
        self._commas = frozenset(self._tokenizer.token_to_id(comma) for comma in _COMMAS) - {None}

    def read(self, parts: Sequence[WeightedText], most_pieces: int) -> TokenizedPrompt:
        tokens: list[int] = []
        weights: list[float] = []
        for part in parts:
            ids = self._ids(part.text)
            tokens += ids
            weights += [part.weight] * len(ids)
        slices = cut([token in self._commas for token in tokens], self._room, most_pieces)
        kept = slices[-1].stop
        pieces = tuple(self._piece(tokens[place], weights[place]) for place in slices)
        return TokenizedPrompt(pieces, kept, len(tokens) - kept)

    @cached_property
    def empty(self) -> PromptPiece:
        return self._piece([], [])

    def _ids(self, text: str) -> list[int]:
        filled = self._rule.template.replace("{}", text)
        ids: list[int] = self._tokenizer.encode(filled, add_special_tokens=False).ids
        return ids

    def _piece(self, tokens: list[int], weights: list[float]) -> PromptPiece:
        rule = self._rule
        row = [*self._begin, *tokens, *self._end]
        ids = np.full((1, rule.length), rule.pad_id, dtype=np.int64)
        ids[0, : len(row)] = row
        inputs = [NamedTensor(rule.input, ids)]
        if rule.mask is not None:
            inputs.append(NamedTensor(rule.mask, np.arange(rule.length)[None] < len(row)))
        if all(weight == 1.0 for weight in weights):
            return PromptPiece(tuple(inputs))
        counts = np.ones(rule.length, dtype=np.float32)
        counts[len(self._begin) : len(self._begin) + len(weights)] = weights
        return PromptPiece(tuple(inputs), counts)
