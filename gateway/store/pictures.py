"""Finished pictures as objects in a private local folder."""

import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
from obstore.store import LocalStore

from gateway.domain.errors import PictureNotFound
from gateway.domain.pictures import PictureFormat

_NAME = re.compile(r"[A-Za-z0-9_-]{32}\.(png|jpeg|webp)")


class PictureStore:
    """Names are 192 random bits: nobody guesses one."""

    def __init__(self, directory: Path) -> None:
        """Makes the folder, readable by its owner alone."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store = LocalStore(directory)

    async def put(self, data: bytes, file_format: PictureFormat) -> str:
        """Keep a picture; returns its name."""
        name = f"{secrets.token_urlsafe(24)}.{file_format.value}"
        await obstore.put_async(self._store, name, data)
        return name

    async def get(self, name: str) -> bytes:
        """A picture's bytes. Raises PictureNotFound."""
        if _NAME.fullmatch(name):
            try:
                result = await obstore.get_async(self._store, name)
                return bytes(await result.bytes_async())
            except FileNotFoundError:
                pass
        raise PictureNotFound("there is no such image, or it has expired")

    async def sweep(self, older_than_seconds: int) -> int:
        """Delete pictures which no link can reach any more; returns how many."""
        oldest = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        stale = [
            entry["path"]
            async for batch in obstore.list(self._store)
            for entry in batch
            if entry["last_modified"] < oldest and _NAME.fullmatch(entry["path"])
        ]
        if stale:
            await obstore.delete_async(self._store, stale)
        return len(stale)


def picture_format(name: str) -> PictureFormat:
    """The format that a stored picture's name tells. Raises ValueError for other names."""
    return PictureFormat(name.rpartition(".")[2])
