"""Which files of a repository are taken: weights in safetensors or GGUF, configurations, tokenizers, licences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from families.sources.read import PICKLE_SUFFIXES, WEIGHTS_SUFFIXES
from triptych.download.errors import Refused
from triptych.download.files import RemoteFile, Snapshot

_TEXT_SUFFIXES = frozenset({".json", ".txt", ".model", ".yaml", ".yml", ".jinja"})
_ABOUT = ("license", "licence", "notice", "readme")
_WILDCARDS = frozenset("*?[")
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Selection:
    """Files to take, and paths that a pattern named or that are there, but are not taken, each with the reason."""

    chosen: tuple[RemoteFile, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Bytes of all chosen files."""
        return sum(file.size for file in self.chosen)


def check_patterns(snapshot: Snapshot, patterns: Sequence[str]) -> None:
    """Raises Refused for a pattern that matches nothing, and for one that spells out a file which is not taken."""
    for pattern in patterns:
        matching = [file.path for file in snapshot.files if _matches(file.path, [pattern])]
        if not matching:
            raise Refused(f"no file of {snapshot.repository} matches {pattern!r}; it holds {_some(snapshot.files)}")
        reason = _objection(matching[0])
        if reason is not None and not _WILDCARDS & set(pattern):
            raise Refused(f"{matching[0]}: {reason}")


def select(snapshot: Snapshot, patterns: Sequence[str]) -> Selection:
    """The files that may be taken and that match a pattern; without patterns, all that may be taken.

    A pattern matches whole paths, its `*` any letters, '/' included. Raises Refused for unsafe paths anywhere in the
    repository, and when nothing is left.
    """
    for file in snapshot.files:
        _check_path(file.path)
    asked = [file for file in snapshot.files if not patterns or _matches(file.path, patterns)]
    reasons = {file.path: reason for file in asked if (reason := _objection(file.path)) is not None}
    chosen = tuple(file for file in asked if file.path not in reasons)
    if not chosen:
        refused = "; ".join(f"{path}: {reason}" for path, reason in list(reasons.items())[:_SHOWN])
        raise Refused(f"{snapshot.repository} has no file that may be taken{': ' if refused else ''}{refused}")
    return Selection(chosen, tuple(reasons.items()))


def destination(folder: Path, file: RemoteFile) -> Path:
    """Where the file goes. Raises Refused if links that lie there would lead it out of `folder`."""
    target = folder / file.path
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise Refused(f"{file.path}: a link in {folder} leads out of it")
    return target


def _check_path(path: str) -> None:
    parts = path.split("/")
    unsafe = any(part in {"", ".", ".."} for part in parts) or any(sign in path for sign in "\\:")
    if unsafe or not path.isprintable():
        raise Refused(f"the repository holds a file with an unsafe name, {path[:200]!r}: nothing was downloaded")


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _objection(path: str) -> str | None:
    """Why this file is not taken; None if it is."""
    name = PurePosixPath(path)
    suffix = name.suffix.lower()
    if any(part.startswith(".") for part in name.parts):
        return "hidden"
    if suffix in PICKLE_SUFFIXES:
        return "pickle format: reading it can run code that it carries"
    if suffix in WEIGHTS_SUFFIXES or suffix in _TEXT_SUFFIXES or name.name.lower().startswith(_ABOUT):
        return None
    return "neither weights nor configuration"


def _some(files: Sequence[RemoteFile]) -> str:
    names = [file.path for file in files[:_SHOWN]]
    return ", ".join(names) + (f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else "")
