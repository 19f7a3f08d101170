"""What a repository holds, as far as a download must know."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Hash(Protocol):
    """The part of hashlib's objects that we use."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        ...

    def hexdigest(self) -> str:
        """In lower case."""
        ...


class Checksum(StrEnum):
    """How the hub names a file's content: large files by sha256, small ones by git's id of the blob."""

    SHA256 = "sha256"
    GIT_BLOB = "git-sha1"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file. `path` uses '/'; `digest` is lower-case hexadecimal."""

    path: str
    size: int
    checksum: Checksum
    digest: str

    def new_hash(self) -> Hash:
        """An empty hash which ends in `digest` after all of the file's bytes."""
        if self.checksum is Checksum.SHA256:
            return hashlib.sha256()
        # Git's choice, not ours: it identifies the blob within a commit that TLS vouches for.
        return hashlib.sha1(f"blob {self.size}\0".encode(), usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository at one commit, which never changes under a download."""

    repository: str
    commit: str
    files: tuple[RemoteFile, ...]
