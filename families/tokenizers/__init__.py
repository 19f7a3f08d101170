"""Tokenizers as models are published: the fast tokenizer's single file, or a vocabulary and its merges."""

from families.tokenizers.declared import DeclaredTokens, declared_tokens
from families.tokenizers.files import tokenizer_file
from families.tokenizers.opening import definition, open_tokenizer, special_tokens

__all__ = ["DeclaredTokens", "declared_tokens", "definition", "open_tokenizer", "special_tokens", "tokenizer_file"]
