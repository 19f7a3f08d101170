"""Files as objects, in a private local folder or a bucket. The same calls for both."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from gateway.domain.errors import StoreUnavailable

_RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Bucket:
    """An S3 bucket. None: as the environment of AWS' tools says. `prefix`: before every key."""

    name: str
    prefix: str = ""
    region: str | None = None
    endpoint: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """What a listing says of an object."""

    key: str
    modified: datetime


class ObjectStore:
    """Keys are paths with `/`. An object is there as a whole or not at all. Methods raise StoreUnavailable."""

    def __init__(self, where: Path | Bucket) -> None:
        """Makes the folder, readable by its owner alone; a bucket must be there."""
        self._local = isinstance(where, Path)
        self._store = _folder(where) if isinstance(where, Path) else _bucket(where)

    async def put(self, key: str, data: bytes) -> None:
        """Write or replace."""
        with _translated():
            await obstore.put_async(self._store, key, data)

    async def get(self, key: str) -> bytes | None:
        """None: there is none."""
        with _translated():
            try:
                result = await obstore.get_async(self._store, key)
                return bytes(await result.bytes_async())
            except FileNotFoundError:
                return None

    async def delete(self, keys: Sequence[str]) -> None:
        """Those which are not there are no error."""
        with _translated():
            for batch in [[key] for key in keys] if self._local else [list(keys)] if keys else []:
                # Folders object to what is not there, and buckets do not.
                with suppress(FileNotFoundError):
                    await obstore.delete_async(self._store, batch)

    async def entries(self, prefix: str | None = None) -> AsyncIterator[ObjectEntry]:
        """Every object below `prefix`, in no order."""
        with _translated():
            async for batch in obstore.list(self._store, prefix):
                for entry in batch:
                    yield ObjectEntry(entry["path"], entry["last_modified"])


def _folder(directory: Path) -> Any:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return LocalStore(directory)


def _bucket(bucket: Bucket) -> Any:
    given = {
        "region": bucket.region,
        "endpoint": bucket.endpoint,
        "access_key_id": bucket.access_key_id,
        "secret_access_key": bucket.secret_access_key,
    }
    config = {key: value for key, value in given.items() if value is not None}
    # Endpoints on a plain address, such as MinIO beside us, speak HTTP; AWS itself never does.
    options = {"allow_http": True} if (bucket.endpoint or "").startswith("http://") else None
    retries = {"max_retries": 3, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)}
    return S3Store(
        bucket.name, prefix=bucket.prefix or None, config=config, client_options=options, retry_config=retries
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        raise StoreUnavailable("files cannot be read or written now", retry_after=_RETRY_SECONDS) from error
