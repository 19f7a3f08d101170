"""Tokens that a tokenizer's JSON files declare beside its vocabulary: special ones by their role, added ones by id."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken

from families.errors import ManifestError
from families.sources.configs import ConfigFolders

ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_CONFIG, _SPECIAL, _ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
_BY_ID, _EXTRA, _EXTRA_OF_OLD = "added_tokens_decoder", "extra_special_tokens", "additional_special_tokens"
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")

Token = AddedToken | str
"""A string is a special token that is matched as the library does by default."""


@dataclass(frozen=True, slots=True)
class DeclaredTokens:
    """`numbered`: tokens and the ids they are declared with, by id. `named`: by role; None: declared to be none.

    `extra`: special tokens without a role. `kind`: the tokenizer's class in transformers, empty where it is not said.
    """

    numbered: tuple[tuple[int, AddedToken], ...]
    named: Mapping[str, Token | None]
    extra: tuple[Token, ...]
    kind: str
    prefix_space: bool


def declared_tokens(configs: ConfigFolders, folder: str = ".") -> DeclaredTokens:
    """What `folder` declares; nothing where it holds no such files. Raises ManifestError naming file and key.

    Folders of an older layout tell added tokens in files of their own, which `added_tokens_decoder` replaces.
    """
    config = _Declarations.of(configs, f"{folder}/{_CONFIG}")
    named = {role: config.token(role) for role in ROLES if role in config.values}
    extra = config.tokens(_EXTRA) or config.tokens(_EXTRA_OF_OLD)
    if _BY_ID in config.values:
        numbered = config.numbered(_BY_ID)
    else:
        special = _Declarations.of(configs, f"{folder}/{_SPECIAL}")
        named |= {role: special.token(role, special=True) for role in ROLES if role in special.values}
        extra += tuple(token for token in special.tokens(_EXTRA) if token not in extra)
        known = {str(token) for token in (*named.values(), *extra) if token}
        numbered = _Declarations.of(configs, f"{folder}/{_ADDED}").ids(known)
    as_declared = {token.content: token for _, token in numbered}
    return DeclaredTokens(
        numbered,
        {role: as_declared.get(str(token), token) for role, token in named.items()},
        extra,
        str(config.values.get("tokenizer_class") or ""),
        bool(config.values.get("add_prefix_space")),
    )


@dataclass(frozen=True, slots=True)
class _Declarations:
    """One file's."""

    path: Path
    values: Mapping[str, Any]

    @classmethod
    def of(cls, configs: ConfigFolders, name: str) -> "_Declarations":
        return cls(configs.find(name), configs.read(name) if configs.has(name) else {})

    def token(self, key: str, *, special: bool = False) -> Token | None:
        return None if self.values[key] is None else self._token(key, self.values[key], special=special)

    def tokens(self, key: str) -> tuple[Token, ...]:
        listed = self.values.get(key) or ()
        listed = tuple(listed.values()) if isinstance(listed, dict) else listed
        if not isinstance(listed, list | tuple):
            raise ManifestError(f"{self.path}: {key} must be a list of tokens")
        return tuple(self._token(key, token) for token in listed)

    def numbered(self, key: str) -> tuple[tuple[int, AddedToken], ...]:
        listed = self.values[key]
        if not isinstance(listed, dict) or not all(number.isdecimal() for number in listed):
            raise ManifestError(f"{self.path}: {key} must be an object of tokens by id")
        tokens = [(int(number), self._token(key, token)) for number, token in listed.items()]
        numbered = [(number, token) for number, token in tokens if isinstance(token, AddedToken)]
        if len(numbered) < len(tokens):
            raise ManifestError(f"{self.path}: {key} must be an object of tokens, each with its content")
        return tuple(sorted(numbered, key=lambda pair: pair[0]))

    def ids(self, special: set[str]) -> tuple[tuple[int, AddedToken], ...]:
        """The file as a whole, an object of ids by token."""
        if not all(isinstance(number, int) for number in self.values.values()):
            raise ManifestError(f"{self.path} must hold an object of ids by token")
        pairs = sorted((number, content) for content, number in self.values.items())
        return tuple(
            (number, AddedToken(content, special=content in special, normalized=content not in special))
            for number, content in pairs
        )

    def _token(self, key: str, value: object, *, special: bool = False) -> Token:
        if isinstance(value, str):
            return value
        content = value.get("content") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(content, str):
            raise ManifestError(f"{self.path}: {key} must be a token, got {value!r}")
        flags = {flag: bool(value[flag]) for flag in _FLAGS if flag in value}
        return AddedToken(content, **(flags | {"special": True} if special else flags))
