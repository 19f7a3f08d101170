"""Brings one file here: goes on where it stopped, checks what came, and moves it into place by one rename."""

import contextlib
import errno
import os
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

import httpx

from triptych.download.content import check_content
from triptych.download.errors import CorruptFile, RemoteError, TransferError
from triptych.download.files import Hash, RemoteFile, Snapshot
from triptych.download.hub import Hub
from triptych.download.patience import Patience
from triptych.download.selection import destination

PARTIAL_FOLDER = ".partial"
"""Below the destination: what is not whole yet. Hidden, so that nobody takes it for a model."""

_CHUNK_BYTES = 1 << 20
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Outcome(StrEnum):
    """What became of a file."""

    DOWNLOADED = "downloaded"
    PRESENT = "already here"


class BytesListener(Protocol):
    """Told how far one file is."""

    def at(self, position: int) -> None:
        """So many of its bytes are here and hashed."""
        ...


class Transfer:
    """Files of one snapshot into one folder."""

    def __init__(self, hub: Hub, snapshot: Snapshot, folder: Path, patience: Patience) -> None:
        self._hub = hub
        self._snapshot = snapshot
        self.folder = folder
        self._patience = patience

    def missing_bytes(self, file: RemoteFile) -> int:
        """What is left to fetch, by sizes alone."""
        if self._same_size(destination(self.folder, file), file):
            return 0
        return max(0, file.size - _size(self._partial(file)))

    def fetch(self, file: RemoteFile, listener: BytesListener) -> Outcome:
        """Put `file` in place, whole and checked. Raises DownloadError; what came so far is then kept, unless wrong."""
        target = destination(self.folder, file)
        try:
            if self._same_size(target, file) and _hash_of(target, file, listener).hexdigest() == file.digest:
                return Outcome.PRESENT
            partial = self._partial(file)
            partial.parent.mkdir(parents=True, exist_ok=True)
            self._complete(partial, file, listener)
            check_content(partial, file.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(target)
        except OSError as error:
            raise self._disk_error(file, error) from error
        finally:
            if _size(self._partial(file)) == 0:
                self._partial(file).unlink(missing_ok=True)
        return Outcome.DOWNLOADED

    @staticmethod
    def _same_size(target: Path, file: RemoteFile) -> bool:
        return target.is_file() and _size(target) == file.size

    def _complete(self, partial: Path, file: RemoteFile, listener: BytesListener) -> None:
        """Fetch until every byte is here and the checksum is right. A wrong checksum after a resume is tried afresh."""
        resumed = _size(partial) > 0
        digest = self._fetch_rest(partial, file, listener)
        if digest != file.digest and resumed:
            partial.unlink()
            digest = self._fetch_rest(partial, file, listener)
        if digest != file.digest:
            partial.unlink()
            raise CorruptFile(
                f"{file.path}: {file.checksum.value} is {digest}, but the hub announced {file.digest}; nothing was kept"
            )

    def _fetch_rest(self, partial: Path, file: RemoteFile, listener: BytesListener) -> str:
        """Append until the announced size is reached; the checksum of all of it."""
        if _size(partial) > file.size:
            partial.unlink()
        with partial.open("ab") as stream:
            sink = _Sink(stream, _hash_of(partial, file, listener), file, listener)
            waits = self._patience.start()
            while sink.position < file.size:
                before = sink.position
                problem = f"{self._snapshot.repository}, {file.path}: the connection broke off at byte {before}"
                wait = None
                try:
                    self._stream(sink, file)
                except httpx.RequestError as error:
                    problem = f"{self._snapshot.repository}, {file.path}: {error}"
                except RemoteError as error:
                    if not error.temporary:
                        raise
                    problem, wait = str(error), error.retry_after
                if sink.position > before:
                    waits.reset()
                if sink.position < file.size:
                    waits.after(f"{problem} ({sink.position} of {file.size} bytes are kept)", wait)
            stream.flush()
            os.fsync(stream.fileno())
        return sink.hexdigest()

    def _stream(self, sink: "_Sink", file: RemoteFile) -> None:
        with self._hub.open(self._snapshot, file, sink.position) as (starts, chunks):
            if starts != sink.position:
                sink.restart()
            for chunk in chunks:
                sink.write(chunk)

    def _partial(self, file: RemoteFile) -> Path:
        # Named by content: another revision of the file never goes on from this one's bytes.
        return self.folder / PARTIAL_FOLDER / f"{file.digest}.part"

    def _disk_error(self, file: RemoteFile, error: OSError) -> TransferError:
        kept = _size(self._partial(file))
        if error.errno in _DISK_FULL:
            return TransferError(
                f"{self.folder}: the disk is full; {kept} of {file.size} bytes of {file.path} are kept. "
                "Free some space and run the same command again"
            )
        return TransferError(f"{file.path}: {error}")


class _Sink:
    """Where a file's bytes go: to disk and into the checksum."""

    def __init__(self, stream: BinaryIO, digest: Hash, file: RemoteFile, listener: BytesListener) -> None:
        self._stream = stream
        self._hash = digest
        self._file = file
        self._listener = listener
        self.position = stream.tell()

    def write(self, chunk: bytes) -> None:
        """Raises CorruptFile for more bytes than were announced."""
        if self.position + len(chunk) > self._file.size:
            raise CorruptFile(f"{self._file.path}: the server sends more than the {self._file.size} bytes announced")
        self._stream.write(chunk)
        self._hash.update(chunk)
        self.position += len(chunk)
        self._listener.at(self.position)

    def restart(self) -> None:
        """The server begins at the first byte again."""
        self._stream.truncate(0)
        self._hash = self._file.new_hash()
        self.position = 0
        self._listener.at(0)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _size(path: Path) -> int:
    """0 for what is not there."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _hash_of(path: Path, file: RemoteFile, listener: BytesListener) -> Hash:
    """The hash over the bytes that lie at `path` so far."""
    digest = file.new_hash()
    position = 0
    with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            position += len(chunk)
            listener.at(position)
    return digest
