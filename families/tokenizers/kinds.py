"""Byte-level BPE tokenizers that are published as a vocabulary and its merges: CLIP's and Qwen2's.

How each cleans and splits a text before its merges is part of the model: the same text must give the same ids as in
training.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import NFC, Lowercase, Replace
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as PreTokenizers

from families.errors import ManifestError
from families.tokenizers.files import FAST, MERGES, VOCABULARY

_CLIP_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_END_OF_TEXT = "<|endoftext|>"
_END_OF_WORD = "</w>"


@dataclass(frozen=True, slots=True)
class Build:
    """`vocabulary`, `merges`: the two files. `unknown`: the token of what is no token; None: there is no such token."""

    vocabulary: Path
    merges: Path
    unknown: str | None
    prefix_space: bool


@dataclass(frozen=True, slots=True)
class TokenizerKind:
    """`named`: special tokens by role where the folder does not say. `all_special`: every special token is matched in
    texts as it is written, whatever its declaration says of that."""

    named: Mapping[str, str]
    build: Callable[[Build], Tokenizer]
    all_special: bool


def _clip(build: Build) -> Tokenizer:
    model = BPE.from_file(
        str(build.vocabulary),
        str(build.merges),
        continuing_subword_prefix="",
        end_of_word_suffix=_END_OF_WORD,
        fuse_unk=False,
        unk_token=build.unknown,
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = Normalizers([NFC(), Replace(Regex(r"\s+"), " "), Lowercase()])
    tokenizer.pre_tokenizer = PreTokenizers([
        Split(Regex(_CLIP_WORDS), behavior="removed", invert=True),
        ByteLevel(add_prefix_space=False),
    ])  # fmt: skip
    return tokenizer


def _qwen2(build: Build) -> Tokenizer:
    model = BPE.from_file(
        str(build.vocabulary), str(build.merges), continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = NFC()
    tokenizer.pre_tokenizer = PreTokenizers([
        Split(Regex(_QWEN2_WORDS), behavior="isolated"),
        ByteLevel(add_prefix_space=build.prefix_space, use_regex=False),
    ])  # fmt: skip
    return tokenizer


_ENDS = dict.fromkeys(("eos_token", "unk_token", "pad_token"), _END_OF_TEXT)
CLIP = TokenizerKind({"bos_token": "<|startoftext|>", **_ENDS}, _clip, all_special=False)
QWEN2 = TokenizerKind(_ENDS, _qwen2, all_special=True)
_KINDS: Mapping[str, TokenizerKind] = {
    "CLIPTokenizer": CLIP,
    "CLIPTokenizerFast": CLIP,
    "Qwen2Tokenizer": QWEN2,
    "Qwen2TokenizerFast": QWEN2,
}


def kind_of(name: str, folder: Path) -> TokenizerKind:
    """The kind that transformers calls `name`; where it is empty, CLIP's if the merges mark the ends of words.

    Raises ManifestError for another one.
    """
    if not name:
        return CLIP if _END_OF_WORD in (folder / MERGES).read_text(encoding="utf-8") else QWEN2
    if name not in _KINDS:
        raise ManifestError(
            f"{folder}: {FAST} is needed for a {name}; {VOCABULARY} and {MERGES} are read for {', '.join(_KINDS)}"
        )
    return _KINDS[name]
