"""Opens a tokenizer, whichever of its files a folder holds."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer

from families.errors import ManifestError
from families.sources.configs import ConfigFolders
from families.tokenizers.declared import ROLES, DeclaredTokens, Token, declared_tokens
from families.tokenizers.files import MERGES, VOCABULARY, check_files
from families.tokenizers.kinds import Build, kind_of


def open_tokenizer(file: Path) -> Tokenizer:
    """The tokenizer of `tokenizer.json`, or of `vocab.json` and the `merges.txt` beside it.

    Texts give the ids that transformers' tokenizer of the same folder gives them, without its begin and end; nothing is
    padded or cut. Raises ManifestError naming the file.
    """
    check_files(file)
    declared = declared_tokens(ConfigFolders((file.parent,)))
    tokenizer = _from_merges(file, declared) if file.name == VOCABULARY else _from_file(file, declared)
    for number, token in declared.numbered if file.name == VOCABULARY else ():
        found = tokenizer.token_to_id(token.content)
        if found != number:
            raise ManifestError(f"{file}: {token.content!r} is declared with the id {number}, its place is {found}")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def definition(file: Path) -> bytes:
    """All that says which ids a text gets. Raises ManifestError."""
    text: str = open_tokenizer(file).to_str()
    return text.encode()


def special_tokens(file: Path, declared: DeclaredTokens) -> Mapping[str, Token | None]:
    """By role: as declared, and as the tokenizer's kind has them where the folder of a vocabulary is silent."""
    if file.name != VOCABULARY:
        return declared.named
    return {**kind_of(declared.kind, file.parent).named, **declared.named}


def _from_file(file: Path, declared: DeclaredTokens) -> Tokenizer:
    """Special tokens that are words of the vocabulary alone are told apart in texts too; none is invented."""
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise ManifestError(f"{file} is no tokenizer: {error}") from error
    added = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    wanted = _wanted(declared, tuple(token for token in declared.named.values() if token))
    _add(tokenizer, [one for one in wanted if str(one) not in added and tokenizer.token_to_id(str(one)) is not None])
    return tokenizer


def _from_merges(file: Path, declared: DeclaredTokens) -> Tokenizer:
    folder = file.parent
    kind = kind_of(declared.kind, folder)
    named = special_tokens(file, declared)
    unknown = named.get("unk_token")
    build = Build(file, folder / MERGES, None if unknown is None else str(unknown), declared.prefix_space)
    try:
        tokenizer = kind.build(build)
    except Exception as error:  # the library raises nothing narrower
        raise ManifestError(f"{file} and {MERGES} are no tokenizer: {error}") from error
    special = tuple(token for token in (named.get(role) for role in ROLES) if token)
    _add(tokenizer, _wanted(declared, special))
    if kind.all_special:
        _add(tokenizer, list(dict.fromkeys(str(token) for token in (*special, *declared.extra))))
    return tokenizer


def _wanted(declared: DeclaredTokens, special: Sequence[Token]) -> list[Token]:
    """Declared tokens by id, then special ones that no id was declared for."""
    tokens: list[Token] = [token for _, token in declared.numbered]
    numbered = {str(token) for token in tokens}
    names = {str(token) for token in special}
    for token in (*special, *declared.extra):
        if str(token) not in numbered and token not in tokens:
            tokens.append(token)
    return [_as_special(token) if str(token) in names else token for token in tokens]


def _as_special(token: Token) -> Token:
    if isinstance(token, str) or token.special:
        return token
    return AddedToken(
        token.content,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=token.normalized,
        special=True,
    )


def _add(tokenizer: Tokenizer, tokens: Sequence[Token]) -> None:
    tokenizer.add_tokens([AddedToken(one, special=True) if isinstance(one, str) else one for one in tokens])
