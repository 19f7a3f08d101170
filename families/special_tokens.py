"""Ids of the special tokens that a tokenizer's files declare."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from families.errors import ManifestError
from families.sources.configs import ConfigFolders
from families.tokenizers import declared_tokens, open_tokenizer, special_tokens, tokenizer_file
from families.tokenizers.files import FAST, check_files


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """A tokenizer's folder of a diffusers pipeline, such as `tokenizer_2`."""

    configs: ConfigFolders
    folder: str

    @property
    def file(self) -> str:
        """The place of the fast tokenizer's single file, or of the vocabulary."""
        return tokenizer_file(self.configs, (self.folder,))

    def declared(self) -> dict[str, Any]:
        """`tokenizer_config.json`. Raises ManifestError."""
        return self.configs.read(f"{self.folder}/tokenizer_config.json")

    def token_ids(self, *roles: str) -> tuple[int | None, ...]:
        """The id of each of `bos_token`, `eos_token`, `pad_token` and so on; None where none is declared or it is no
        token. Raises ManifestError."""
        self.declared()  # without it nobody can say
        file = self.configs.find(self.file)
        check_files(file)
        named, ids = special_tokens(file, declared_tokens(self.configs, self.folder)), self._ids(file)
        tokens = [named.get(role) for role in roles]
        return tuple(None if token is None else ids.get(str(token)) for token in tokens)

    def _ids(self, file: Path) -> dict[str, int]:
        if file.name != FAST:
            vocabulary: dict[str, int] = open_tokenizer(file).get_vocab(with_added_tokens=True)
            return vocabulary
        # Read, not opened: these are few of the many tokens, and nothing is to be cut into pieces.
        tokenizer = self.configs.read(self.file)
        try:
            known = tokenizer.get("model", {}).get("vocab", {})
            added = {str(token["content"]): int(token["id"]) for token in tokenizer.get("added_tokens", [])}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ManifestError(f"{file} is no tokenizer: added_tokens must each have content and id") from error
        return (dict(known) if isinstance(known, dict) else {}) | added
