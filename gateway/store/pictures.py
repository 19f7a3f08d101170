"""Finished pictures, and files of several, as objects, each kept for its own time."""

import re
import secrets
import time

from gateway.domain.errors import PictureNotFound
from gateway.domain.files import FileType
from gateway.store.objects import ObjectStore

_NAME = re.compile(rf"([0-9a-f]{{8,12}})-[A-Za-z0-9_-]{{32}}\.({'|'.join(FileType)})")


class PictureStore:
    """Names hold 192 random bits, which nobody guesses, behind the second at which the picture goes."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def put(self, data: bytes, file_type: FileType, expires: int) -> str:
        """Keep a picture until then (Unix time in seconds); returns its name. Raises StoreUnavailable."""
        name = f"{expires:08x}-{secrets.token_urlsafe(24)}.{file_type.value}"
        await self._objects.put(name, data)
        return name

    async def get(self, name: str) -> bytes:
        """A picture's bytes. Raises PictureNotFound, StoreUnavailable."""
        data = await self._objects.get(name) if _NAME.fullmatch(name) else None
        if data is None:
            raise PictureNotFound("there is no such image, or it has expired")
        return data

    async def delete(self, names: list[str]) -> None:
        """Before their time. Raises StoreUnavailable."""
        await self._objects.delete(names)

    async def sweep(self) -> int:
        """Delete pictures whose time is over; returns how many. Raises StoreUnavailable."""
        now = int(time.time())
        stale = [entry.key async for entry in self._objects.entries() if _expiry(entry.key) < now]
        await self._objects.delete(stale)
        return len(stale)


def file_type_of(name: str) -> FileType:
    """The type that a stored file's name tells. Raises ValueError for other names."""
    return FileType(name.rpartition(".")[2])


def _expiry(key: str) -> float:
    match = _NAME.fullmatch(key)
    # Other objects are not ours to delete.
    return float("inf") if match is None else int(match[1], 16)
