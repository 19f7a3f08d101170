"""A whole download: one at a time into a folder, space checked first, each file whole or not at all."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from triptych.download.errors import Refused, TransferError
from triptych.download.files import RemoteFile
from triptych.download.transfer import PARTIAL_FOLDER, BytesListener, Outcome, Transfer

_LOCK = "lock"


class DownloadListener(Protocol):
    """Told about every file."""

    def begin(self, file: RemoteFile) -> BytesListener:
        """This one is next."""
        ...

    def end(self, file: RemoteFile, outcome: Outcome) -> None:
        """It is in place."""
        ...


def download(transfer: Transfer, files: Sequence[RemoteFile], listener: DownloadListener) -> None:
    """Bring the files into the transfer's folder. Raises DownloadError; what came so far stays."""
    folder = transfer.folder
    _check_space(folder, sum(transfer.missing_bytes(file) for file in files))
    with _alone_in(folder):
        for file in files:
            outcome = transfer.fetch(file, listener.begin(file))
            listener.end(file, outcome)


def _check_space(folder: Path, needed: int) -> None:
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise TransferError(f"{folder}: {needed} bytes are needed and {free} are free; nothing was downloaded")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Make the folder and keep others out. What stays empty goes again: no folder without a model."""
    partial = folder / PARTIAL_FOLDER
    made = (partial,) if folder.exists() else (partial, folder)
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = FileLock(partial / _LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise Refused(f"{folder}: another download into this folder is under way") from error
    except OSError as error:
        raise TransferError(f"{folder}: {error.strerror}") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (partial / _LOCK).unlink()
        lock.release()
        for place in made:
            with contextlib.suppress(OSError):  # partial files are kept for the next time
                place.rmdir()
