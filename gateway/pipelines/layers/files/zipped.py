"""Zip files that hold nothing of the time at which they were made."""

import io
import zipfile
from collections.abc import Iterable
from typing import NamedTuple

_BEGINNING = (1980, 1, 1, 0, 0, 0)


class Entry(NamedTuple):
    """A file in it. What is packed already gains nothing from being packed again."""

    name: str
    data: bytes
    packed: bool = False


def zipped(entries: Iterable[Entry]) -> bytes:
    """In this order."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for entry in entries:
            kind = zipfile.ZIP_STORED if entry.packed else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(entry.name, _BEGINNING), entry.data, kind)
    return target.getvalue()


def timeless(data: bytes) -> bytes:
    """A zip file that somebody else wrote."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return zipped(Entry(name, archive.read(name)) for name in archive.namelist())
