"""Which of a folder's files is the tokenizer."""

from collections.abc import Sequence
from pathlib import Path

from families.errors import ManifestError
from families.sources.configs import ConfigFolders

FAST, VOCABULARY, MERGES = "tokenizer.json", "vocab.json", "merges.txt"
_BOTH = f"{FAST}, or {VOCABULARY} and {MERGES}"
_SENTENCEPIECE = ("spiece.model", "tokenizer.model", "sentencepiece.bpe.model")


def tokenizer_file(configs: ConfigFolders, folders: Sequence[str]) -> str:
    """The place of `tokenizer.json`, else of `vocab.json`, in the first of `folders` and there in the first root that
    has one. Where there is none, the place where `tokenizer.json` belongs: opening it says what is missing."""
    for folder in folders:
        for root in configs.roots:
            for name in (FAST, VOCABULARY):
                if (root / folder / name).is_file():
                    return f"{folder}/{name}"
    return f"{folders[0]}/{FAST}"


def check_files(file: Path) -> None:
    """Raises ManifestError naming what `file`'s folder lacks to be a tokenizer."""
    folder = file.parent
    pieces = next((name for name in _SENTENCEPIECE if (folder / name).is_file()), None)
    if file.name == VOCABULARY and file.is_file():
        if not (folder / MERGES).is_file():
            raise ManifestError(f"{folder / MERGES} is missing: a tokenizer is {_BOTH}")
    elif not file.is_file() and pieces is not None:
        raise ManifestError(f"{folder / FAST} is missing: {pieces} alone is not read")
    elif not file.is_file():
        raise ManifestError(f"{file} is missing: a tokenizer is {_BOTH}")
